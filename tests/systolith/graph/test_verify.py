"""Graphs that mean nothing are refused, and the message says which operator and tensor it is."""

from dataclasses import fields, replace

import numpy as np
import pytest

from systolith.frontends.tflite import read_tflite
from systolith.graph.attributes import Attributes, Clamp
from systolith.graph.ir import Graph, Operator, Tensor
from systolith.graph.verify import GraphError, verify
from systolith.operators.activations import LeakyRelu
from systolith.operators.softmax import Softmax
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


LOGISTIC = Tensor(name="y", shape=(1, 4), scales=(1 / 256,), zero_point=-128)


def single(kind, attributes, x=LOGISTIC, y=LOGISTIC, rounding="tflm"):
    return Graph(tensors=(x, y), inputs=(0,), outputs=(1,), rounding=rounding, operators=(
        Operator(kind=kind, inputs=(0,), outputs=(1,), attributes=attributes),))


def of_attributes(number, **fields):
    return with_operator(number, attributes=replace(DIGITS.operators[number].attributes, **fields))


@pytest.mark.parametrize("graph, message", [
    (of_attributes(CONV, stride=(0, 1)),
     "operator 0 (CONV_2D): its stride must lie between 1 and 4096, not (0, 1)"),
    (of_attributes(CONV, dilation=(1, -2)),
     "operator 0 (CONV_2D): its dilation must lie between 1 and 4096, not (1, -2)"),
    (of_attributes(CONV, padding=((0, -1), (0, 0))),
     "operator 0 (CONV_2D): its padding must lie between 0 and 4096, not (0, -1, 0, 0)"),
    (of_attributes(POOL, kernel=(1, 5000)),
     "operator 5 (AVERAGE_POOL_2D): its kernel must lie between 1 and 4096, not (1, 5000)"),
    (of_attributes(CONV, stride=("a", None)),
     "operator 0 (CONV_2D): TypeError: '<=' not supported between instances of 'int' and 'str'"),
    (of_attributes(ADD, activation="SIGN_BIT"),
     ("operator 4 (ADD): the fused activation SIGN_BIT is not one of NONE, RELU, RELU_N1_TO_1, "
      "RELU6")),
    (of_attributes(ADD, range=(3, 2)),
     "operator 4 (ADD): its range must be bounds of int8, the lower one first, not (3, 2)"),
    (of_attributes(ADD, range=(-128, 128)),
     "operator 4 (ADD): its range must be bounds of int8, the lower one first, not (-128, 128)"),
    (with_tensor(1, zero_point=1),
     "operator 0 (CONV_2D): the weights have zero points other than 0"),
    (with_tensor(1, scales=(0.1,) * 3),
     ("operator 0 (CONV_2D): the weights have 3 scales along axis 0 instead of 1 or "
     "16 along axis 0")),
    (with_tensor(1, data=np.zeros((16, 3, 3, 1), np.int32)), ("operator 0 (CONV_2D) has tensor 1 "
     "(0_conv_2d/weights) for its weights, which is int8, but holds int32")),
    (with_tensor(2, data=np.zeros(15, np.int32), shape=(15,)),
     "operator 0 (CONV_2D): the biases have the shape (15,) instead of (16,)"),
    (with_tensor(2, data=(np.arange(16) == 3).astype(np.int32) * 2147483647),
     "operator 0 (CONV_2D): the sums of channel 3 can exceed 32 bits"),
    (with_tensor(2, zero_point=5),
     "operator 0 (CONV_2D): the biases have the zero point 5 instead of 0"),
    (with_tensor(1, scales=(1e4,) * 16), ("operator 0 (CONV_2D): channel 0 is rescaled by "
     f"{1e4 * DIGITS.tensors[0].scale / DIGITS.tensors[3].scale}, but only factors below 8 are "
     "possible")),
    (with_tensor(6, scales=(1e6,)), ("operator 4 (ADD): the output's scale "
     f"{DIGITS.tensors[13].scale} is too small for those of the inputs")),
    (single("LEAKY_RELU", LeakyRelu(alpha=float("nan"))),
     "operator 0 (LEAKY_RELU): its alpha must be finite, not nan"),
    (single("LEAKY_RELU", LeakyRelu(alpha=-0.5)),
     "operator 0 (LEAKY_RELU): alpha is -0.5, but only factors from 0 on are possible"),
    (single("LOGISTIC", Clamp(), y=replace(LOGISTIC, zero_point=0)),
     ("operator 0 (LOGISTIC): the output has the scale 0.00390625 and the zero point 0 instead "
     "of 1/256 and -128")),
    (single("SOFTMAX", Softmax(), y=replace(LOGISTIC, scales=(0.1,))),
     ("operator 0 (SOFTMAX): the output has the scale 0.1 and the zero point -128 instead of "
     "1/256 and -128")),
    (single("RELU", Clamp(), y=replace(LOGISTIC, scales=(1e-4,))),
     (f"operator 0 (RELU): what is positive is rescaled by {1 / 256 / 1e-4}, but only factors "
     "below 8 are possible")),
    (single("RELU", Clamp(), *[replace(LOGISTIC, shape=(1, 1 << 27))] * 2), ("tensor 0 (y) of "
     "operator 0 (RELU) must have at most 67108864 elements, not the shape (1, 134217728)")),
])
def test_refuses_values(graph, message):
    assert message in complaints(graph)


def test_a_scale_of_its_own_in_float32():
    graph = single("LOGISTIC", Clamp(), y=replace(LOGISTIC, scales=(0.1,)), rounding="float32")
    assert verify(graph) is graph


NONSENSE = (None, -1, 0, 3, 1 << 70, 1e30, float("nan"), "x", [], (), (0,), (None,),
            (1, 2, 3, 4, 5), ((1,), 2), np.ones(3), np.array(None), {}, object)


def test_nonsense_is_refused_by_no_other_error():
    """Any field of a graph, a tensor, an operator or attributes may hold anything."""
    rng, refused = np.random.default_rng(5), 0
    for _ in range(1500):
        value = NONSENSE[rng.integers(len(NONSENSE))]
        part = [DIGITS, *DIGITS.tensors, *DIGITS.operators][rng.integers(30)]
        name = rng.choice([each.name for each in fields(part)])
        if name == "attributes" and rng.random() < 0.9 and fields(part.attributes):
            each = rng.choice([each.name for each in fields(part.attributes)])
            value = replace(part.attributes, **{each: value})
        bad = replace(part, **{name: value})
        graph = bad if part is DIGITS else replace(
            DIGITS, tensors=tuple(bad if each is part else each for each in DIGITS.tensors),
            operators=tuple(bad if each is part else each for each in DIGITS.operators))
        try:
            verify(graph)
        except GraphError:
            refused += 1
    assert refused > 600


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
