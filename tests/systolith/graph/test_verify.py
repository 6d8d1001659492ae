"""Graphs that mean nothing are refused, and the message says which operator and tensor it is."""

from dataclasses import replace

import numpy as np
import pytest

from systolith.frontends.tflite import read_tflite
from systolith.graph.attributes import Attributes, Clamp
from systolith.graph.ir import Operator, Tensor
from systolith.graph.verify import GraphError, verify
from systolith.zoo.digits import model_bytes

DIGITS = read_tflite(model_bytes())
CONV, ADD, POOL, RESHAPE, DENSE = 0, 4, 5, 6, 7


def with_operator(number, **fields):
    operators = list(DIGITS.operators)
    operators[number] = replace(operators[number], **fields)
    return replace(DIGITS, operators=tuple(operators))


def with_tensor(number, **fields):
    tensors = list(DIGITS.tensors)
    tensors[number] = replace(tensors[number], **fields)
    return replace(DIGITS, tensors=tuple(tensors))


def complaints(graph):
    with pytest.raises(GraphError) as raised:
        verify(graph, "the test's graph")
    first, *lines = str(raised.value).split("\n  ")
    assert first == "the test's graph is not valid:"
    return lines


def test_a_good_graph_is_given_back():
    assert verify(DIGITS) is DIGITS


CONV_OP = DIGITS.operators[CONV]


@pytest.mark.parametrize("graph, message", [
    (replace(DIGITS, rounding="up"), "the rounding must be one of tflm, float32, not 'up'"),
    (replace(DIGITS, inputs=()), "it has no inputs"),
    (replace(DIGITS, outputs=()), "it has no outputs"),
    (replace(DIGITS, inputs=(0, 0)), "an input is there twice"),
    (with_tensor(0, data=np.zeros((1, 8, 8, 1), np.int8)),
     "the input tensor 0 (image) is a constant"),
    (replace(DIGITS, inputs=(99,)), "the input is tensor 99, but there are 20"),
    (replace(DIGITS, outputs=(-1,)), "the output is tensor -1, but there are 20"),
    (replace(DIGITS, outputs=(1,)),
     "the output tensor 1 (0_conv_2d/weights) is computed by nothing"),
    (replace(DIGITS, operators=DIGITS.operators[1:]),
     "operator 1 (CONV_2D) reads tensor 3 (0_conv_2d), which nothing has computed yet"),
    (replace(DIGITS, operators=(*DIGITS.operators, DIGITS.operators[-1])),
     "operator 8 (SOFTMAX) has the number of another operator"),
    (with_operator(ADD, inputs=(12, 77)), "operator 4 (ADD) reads tensor 77, but there are 20"),
    (with_operator(ADD, outputs=(-1,)), "operator 4 (ADD) computes tensor -1, but there are 20"),
    (with_operator(ADD, outputs=(3,)),
     "operator 4 (ADD) computes tensor 3 (0_conv_2d), which is there already"),
    (with_operator(ADD, kind="MADD"),
     ("operator 4: there is no record of operators of kind MADD: register one "
     "(systolith.graph.record.register)")),
    (with_operator(ADD, inputs=(12,)), ("operator 4 (ADD) has 1 operands and 1 results; 2 to 2 "
     "operands and 1 result are possible")),
    (with_operator(ADD, inputs=(12, -1)), "operator 4 (ADD) lacks operand 1, its activation"),
    (with_operator(ADD, attributes=Attributes()),
     "operator 4 (ADD) has attributes of type Attributes, not Clamp"),
    (with_operator(CONV, inputs=(0, -1)), "operator 0 (CONV_2D) lacks operand 1, its weights"),
    (with_operator(CONV, inputs=(0, 1, 0)),
     "operator 0 (CONV_2D) has tensor 0 (image) for its biases, which must be a constant"),
    (with_operator(CONV, inputs=(0, 1, 1)), ("operator 0 (CONV_2D) has tensor 1 "
     "(0_conv_2d/weights) for its biases, which must be int32, not int8")),
    (with_tensor(1, scales=(0.0,)),
     ("operator 0 (CONV_2D) has tensor 1 (0_conv_2d/weights) for its "
     "weights, which must have scales that are positive and finite, not (0.0,)")),
    (with_tensor(1, shape=(16, 3, 3, 2)), ("operator 0 (CONV_2D) has tensor 1 (0_conv_2d/weights) "
     "for its weights, which is of shape (16, 3, 3, 2), but holds (16, 3, 3, 1)")),
    (with_tensor(3, dtype="int16"), ("tensor 3 (0_conv_2d) of operator 0 (CONV_2D) must be int8, "
     "not int16")),
    (with_tensor(3, scales=(0.1, 0.2)), ("tensor 3 (0_conv_2d) of operator 0 (CONV_2D) must have "
     "one scale, positive and finite, not (0.1, 0.2)")),
    (with_tensor(3, scales=(float("nan"),)), ("tensor 3 (0_conv_2d) of operator 0 (CONV_2D) must "
     "have one scale, positive and finite, not (nan,)")),
    (with_tensor(3, zero_point=200), ("tensor 3 (0_conv_2d) of operator 0 (CONV_2D) must have an "
     "int8 for its zero point, not 200")),
    (with_tensor(3, shape=()), ("tensor 3 (0_conv_2d) of operator 0 (CONV_2D) must have an axis at "
     "least, and no empty one, not the shape ()")),
    (with_tensor(3, shape=(1, 8, 8, 17)),
     ("operator 0 (CONV_2D) gives the shape (1, 8, 8, 16), but "
     "its result tensor 3 (0_conv_2d) has (1, 8, 8, 17)")),
    (with_tensor(13, shape=(1, 4, 4, 31)),
     ("operator 4 (ADD) gives the shape (1, 4, 4, 32), but its "
     "result tensor 13 (4_add) has (1, 4, 4, 31)")),
    (with_tensor(15, shape=(1, 33)), ("operator 6 (RESHAPE) cannot take operands of the shapes (1, "
     "1, 1, 32): (1, 33) holds another number of elements")),
    (with_tensor(14, scales=(0.5,)), ("operator 5 (AVERAGE_POOL_2D): its operand 4_add and its "
     f"result differ in scale or zero point: {DIGITS.tensors[13].scale}, -128 and 0.5, -128")),
])
def test_refuses(graph, message):
    assert message in complaints(graph)


def test_a_constant_is_no_result():
    data = np.zeros(DIGITS.tensors[3].shape, np.int8)
    assert complaints(with_tensor(3, data=data))[0] == (
        "operator 0 (CONV_2D) computes tensor 3 (0_conv_2d), which is there already")


def test_a_kind_may_be_of_one_rounding():
    tensors = (Tensor(name="x", shape=(1, 4), scales=(0.1,)),
               Tensor(name="y", shape=(1, 4), scales=(0.1,)))
    graph = replace(DIGITS, tensors=tensors, inputs=(0,), outputs=(1,), rounding="float32",
                    operators=(Operator(kind="TANH", inputs=(0,), outputs=(1,),
                                        attributes=Clamp()),))
    assert complaints(graph) == ["operator 0 (TANH) has no golden model of the rounding float32"]


def test_all_that_is_wrong_is_said_at_once():
    graph = replace(with_tensor(3, dtype="int16"), outputs=DIGITS.outputs)
    found = complaints(graph)
    assert len(found) == 2 and all("must be int8, not int16" in each for each in found)
