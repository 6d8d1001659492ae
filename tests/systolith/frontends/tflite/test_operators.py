"""Operators that the reader refuses: each with its index, its name, and the reason."""

import math
from dataclasses import replace

import flatbuffers
import numpy as np
import pytest
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from systolith.frontends.tflite import read_tflite
from systolith.frontends.tflite.reader import supported
from systolith.frontends.tflite.writer import FileOptions, write_tflite
from systolith.graph.attributes import Pad, Resize
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import Graph, ModelError, Operator, Tensor, make_operator
from systolith.references.tflm import Reference, TflmError
from systolith.zoo.digits import model_bytes

DIGITS = read_tflite(model_bytes())

#: Operators and tensors of the digits network.
CONV, STRIDED, DEPTHWISE, POINTWISE, ADD, POOL, RESHAPE, DENSE, SOFTMAX = range(9)
(IMAGE, CONV_W, CONV_B, CONV_Y, STRIDED_W, STRIDED_B, STRIDED_Y, DEPTHWISE_W, DEPTHWISE_B,
 DEPTHWISE_Y, POINTWISE_W, POINTWISE_B, POINTWISE_Y, ADD_Y, POOL_Y, FLAT, DENSE_W, DENSE_B, DENSE_Y,
 SCORES) = range(20)


def activation(shape, **fields):
    return Tensor(name="x", shape=shape, **{"scales": (0.5,), "zero_point": 3, **fields})


def filters(*shape, scale=0.1):
    return Tensor(name="w", shape=shape, scales=(scale,), data=np.ones(shape, np.int8))


#: Operators of which a file says all by their operands: the table of their options.
TABLES = {"RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions", "PAD": "PadOptions",
          "DEQUANTIZE": "NONE"}


def one_operator(kind, *tensors, inputs=(0,), **attributes):
    """A graph of one operator: its operands, of which ``inputs`` are the graph's, and the
    result."""
    last = len(tensors) - 1
    ends = {"inputs": tuple(range(last)), "outputs": (last,)}
    operator = (Operator(kind=kind, **ends, attributes=FileOptions(table=TABLES[kind]))
                if kind in TABLES and not attributes else
                make_operator(kind=kind, **ends, attributes=attributes))
    return Graph(tensors=tensors, inputs=inputs, outputs=(last,), operators=(operator,))


def written(*args, **kwargs):
    return write_tflite(one_operator(*args, **kwargs))


def with_tensor(index, **fields):
    """The digits network with fields of a tensor replaced."""
    tensors = list(DIGITS.tensors)
    tensors[index] = replace(tensors[index], **fields)
    return write_tflite(replace(DIGITS, tensors=tuple(tensors)))


def with_table(change, data=None):
    """The digits network, or another, after ``change`` has been at its model."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data or model_bytes(), 0))
    change(model)
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def with_operator(index, **fields):
    """The digits network with fields of an operator replaced: inputs, outputs, options."""
    return with_table(lambda model: vars(model.subgraphs[0].operators[index]).update(fields))


def with_options(index, data=None, **fields):
    """The digits network, or another, with fields of the options of an operator replaced."""
    def change(model):
        options = vars(model.subgraphs[0].operators[index].builtinOptions)
        assert fields.keys() <= options.keys()
        options.update(fields)
    return with_table(change, data)


def refusals(data):
    """Reasons by index and name of operator, from the error."""
    with pytest.raises(ModelError) as raised:
        read_tflite(data)
    first, *lines = str(raised.value).split("\n  ")
    if lines[-1] == f"supported are {', '.join(supported())}":
        lines.pop()
    assert first.startswith(f"{len(lines)} of ") and first.endswith(" operators cannot run:")
    return dict(line.removeprefix("operator ").split(": ", 1) for line in lines)


CASES = []


def case(name, operator, reason, make, *args, **kwargs):
    """The model that ``make`` gives is refused, for that reason, because of that operator."""
    CASES.append(pytest.param(make, args, kwargs, operator, reason, id=name))


BAD_SCALES = (0.0, -1.0, math.inf, math.nan)
POINT = {"kernel": (1, 1), "stride": (1, 1), "padding": ((0, 0), (0, 0))}
UNIT = {"stride": (1, 1), "dilation": (1, 1), "padding": ((0, 0), (0, 0)), "activation": "NONE"}

# Activations
case("float", "0 (CONV_2D)",
     "input 0 (image) is float32, not int8: quantise the whole model to int8",
     with_tensor, IMAGE, dtype="float32")
case("unsigned", "8 (SOFTMAX)",
     "the output (8_softmax) is uint8, not int8: quantise the whole model to int8",
     with_tensor, SCORES, dtype="uint8")
case("no scale", "0 (CONV_2D)", "input 0 (image) has 0 scales instead of 1",
     with_tensor, IMAGE, scales=())
case("two scales", "8 (SOFTMAX)", "the output (8_softmax) has 2 scales instead of 1",
     with_tensor, SCORES, scales=(1.0, 1.0))
for scale in BAD_SCALES:
    case(f"scale {scale}", "0 (CONV_2D)",
         f"input 0 (image) has the scale {scale}, which is not positive and finite",
         with_tensor, IMAGE, scales=(scale,))
for value in (-129, 128, 1 << 40):
    case(f"zero point {value}", "0 (CONV_2D)",
         f"input 0 (image) has the zero point {value}, which is not an int8",
         with_tensor, IMAGE, zero_point=value)
case("constant", "7 (FULLY_CONNECTED)", "the output (7_fully_connected) is a constant",
     with_tensor, DENSE_Y, data=np.zeros((1, 10), np.int8))
case("rank", "2 (DEPTHWISE_CONV_2D)", "input 0 (6_reshape) has the shape (1, 32) instead of 4 axes",
     with_operator, DEPTHWISE, inputs=[FLAT, DEPTHWISE_W, DEPTHWISE_B])
case("scalar", "0 (SOFTMAX)", "input 0 (x) is a scalar",
     written, "SOFTMAX", activation(()), activation(()), beta=1.0)
case("input left out", "4 (ADD)", "input 1 is left out",
     with_operator, ADD, inputs=[POINTWISE_Y, -1])
case("output left out", "8 (SOFTMAX)", "an output is left out",
     with_operator, SOFTMAX, outputs=[SCORES, -1])
case("number of inputs", "4 (ADD)", "it has 3 inputs and 1 outputs",
     with_operator, ADD, inputs=[POINTWISE_Y] * 3)
case("number of outputs", "8 (SOFTMAX)", "it has 1 inputs and 2 outputs",
     with_operator, SOFTMAX, outputs=[SCORES] * 2)

# Options
case("no options", "5 (AVERAGE_POOL_2D)", "its options are not Pool2DOptions",
     with_operator, POOL, builtinOptions=None, builtinOptionsType=0)
case("other options", "0 (CONV_2D)", "its options are not Conv2DOptions",
     with_operator, CONV, builtinOptions=schema.AddOptionsT(),
     builtinOptionsType=schema.BuiltinOptions.AddOptions)
case("activation", "4 (ADD)",
     "the fused activation TANH is not one of NONE, RELU, RELU_N1_TO_1, RELU6",
     with_options, ADD, fusedActivationFunction=schema.ActivationFunctionType.TANH)
case("unknown activation", "4 (ADD)",
     "the fused activation unknown is not one of NONE, RELU, RELU_N1_TO_1, RELU6",
     with_options, ADD, fusedActivationFunction=77)
case("scale too small for activation", "0 (MAX_POOL_2D)",
     f"the output's scale {float(np.float32(2e-9))} is too small for RELU6",
     written, "MAX_POOL_2D", *[activation((1, 2, 2, 1), scales=(2e-9,))] * 2, **POINT,
     activation="RELU6")

# Windows
for value in (0, -1, 4097):
    case(f"stride {value}", "1 (CONV_2D)", f"the stride ({value}, 2) is not between 1 and 4096",
         with_options, STRIDED, strideH=value)
case("dilation", "0 (CONV_2D)", "the dilation (1, 0) is not between 1 and 4096",
     with_options, CONV, dilationWFactor=0)
case("kernel", "5 (AVERAGE_POOL_2D)", "the kernel (-4, 4) is not between 1 and 4096",
     with_options, POOL, filterHeight=-4)
case("padding", "0 (CONV_2D)", "the padding 7 is neither SAME nor VALID",
     with_options, CONV, padding=7)
case("padding too large", "0 (CONV_2D)",
     "the kernel (3, 3) with dilation (4096, 4096) asks for the padding ((4096, 4096), "
     "(4096, 4096)), which is too much",
     with_options, CONV, dilationHFactor=4096, dilationWFactor=4096)
case("kernel larger than image", "5 (AVERAGE_POOL_2D)",
     "the kernel (5, 4) with dilation (1, 1) is larger than (4, 4)",
     with_options, POOL, filterHeight=5, padding=schema.Padding.VALID)
case("size", "1 (CONV_2D)",
     "the output (1_conv_2d) has the shape (1, 4, 4, 32), but (1, 8, 4, 32) is what the inputs "
     "give", with_options, STRIDED, strideH=1)

# Weights and biases
case("weights computed", "3 (CONV_2D)", "the weights are not a constant",
     with_operator, POINTWISE, inputs=[STRIDED_Y, DEPTHWISE_Y, POINTWISE_B])
case("weights left out", "0 (CONV_2D)", "the weights are not a constant",
     with_operator, CONV, inputs=[IMAGE, -1, CONV_B])
case("unsigned weights", "0 (CONV_2D)", "the weights (0_conv_2d/weights) are uint8, not int8",
     with_tensor, CONV_W, dtype="uint8")
case("rank of weights", "0 (CONV_2D)", "the weights have the shape (10, 32) instead of 4 axes",
     with_operator, CONV, inputs=[IMAGE, DENSE_W, CONV_B])
case("zero point of weights", "0 (CONV_2D)", "the weights have zero points other than 0",
     with_tensor, CONV_W, zero_point=1)
for count in (0, 15):
    case(f"{count} scales of weights", "0 (CONV_2D)",
         f"the weights have {count} scales along axis 0 instead of 1 or 16 along axis 0",
         with_tensor, CONV_W, scales=(1.0,) * count)
case("axis of scales", "0 (CONV_2D)",
     "the weights have 16 scales along axis 3 instead of 1 or 16 along axis 0",
     with_tensor, CONV_W, axis=3)
for scale in BAD_SCALES:
    case(f"scale {scale} of weights", "0 (CONV_2D)",
         f"a channel of the weights has the scale {scale}, which is not positive and finite",
         with_tensor, CONV_W, scales=(0.01,) * 15 + (scale,))
case("groups of channels", "0 (CONV_2D)",
     "1 input channels and filters of shape (16, 3, 3, 2) make no groups",
     with_tensor, CONV_W, shape=(16, 3, 3, 2), data=np.zeros((16, 3, 3, 2), np.int8))
case("groups of filters", "0 (CONV_2D)",
     "6 input channels and filters of shape (4, 1, 1, 2) make no groups",
     written, "CONV_2D", activation((1, 2, 2, 6)), filters(4, 1, 1, 2), activation((1, 2, 2, 4)),
     **UNIT)
case("channels", "0 (CONV_2D)",
     "the output (0_conv_2d) has the shape (1, 8, 8, 15), but (1, 8, 8, 16) is what the inputs "
     "give", with_tensor, CONV_Y, shape=(1, 8, 8, 15))
case("depth multiplier", "2 (DEPTHWISE_CONV_2D)",
     "32 input channels with multiplier 2 do not give the weights' shape (1, 3, 3, 32)",
     with_options, DEPTHWISE, depthMultiplier=2)
case("depthwise filters", "2 (DEPTHWISE_CONV_2D)",
     "32 input channels with multiplier 1 do not give the weights' shape (2, 3, 3, 32)",
     with_tensor, DEPTHWISE_W, shape=(2, 3, 3, 32), data=np.ones((2, 3, 3, 32), np.int8))
for dtype in ("int64", "float32"):
    case(f"{dtype} biases", "7 (FULLY_CONNECTED)",
         f"the biases (7_fully_connected/bias) are {dtype}, not int32",
         with_tensor, DENSE_B, dtype=dtype)
case("shape of biases", "7 (FULLY_CONNECTED)",
     "the biases have the shape (9,) instead of (10,)",
     with_tensor, DENSE_B, shape=(9,), data=np.zeros(9, np.int32))
case("zero point of biases", "0 (CONV_2D)", "the biases have the zero point 1 instead of 0",
     with_tensor, CONV_B, zero_point=1)
case("biases computed", "3 (CONV_2D)", "the biases are not a constant",
     with_operator, POINTWISE, inputs=[DEPTHWISE_Y, POINTWISE_W, STRIDED_Y])


def transposed(result=(1, 4, 6, 2), *, weights=(2, 3, 3, 1), bias=(), options=None, **fields):
    """A TRANSPOSE_CONV from (2, 3) pixels by a stride of 2; ``fields`` are those of the shape."""
    table = Tensor(name="shape", **{"shape": (4,), "dtype": "int32", "data": np.array(result)}
                   | fields)
    operands = [table, filters(*weights), activation((1, 2, 3, 1)), *bias]
    data = written("TRANSPOSE_CONV", *operands, activation(result), inputs=(2,), stride=(1, 1),
                   padding=((0, 0), (0, 0)), activation="NONE")
    return with_options(0, data, **{"strideH": 2, "strideW": 2, "padding": schema.Padding.SAME}
                        | (options or {}))


case("shape of the transposed computed", "0 (TRANSPOSE_CONV)",
     "the sizes of the output are not a constant", transposed, data=None)
case("axes of the transposed", "0 (TRANSPOSE_CONV)",
     "the sizes of the output have the shape (3,) instead of (4,)",
     transposed, shape=(3,), data=np.array([4, 6, 2]))
case("other shape of the transposed", "0 (TRANSPOSE_CONV)",
     "the output (x) has the shape (1, 4, 6, 2), but (1, 4, 5, 2) is what the inputs give",
     transposed, data=np.array([1, 4, 5, 2]))
for name, shape, weights in (("filters", (1, 4, 6, 3), (2, 3, 3, 1)),
                             ("channels", (1, 4, 6, 2), (2, 3, 3, 2)),
                             ("batch", (2, 4, 6, 2), (2, 3, 3, 1))):
    case(f"{name} of the transposed", "0 (TRANSPOSE_CONV)",
         f"shapes (1, 2, 3, 1), {weights} and {shape} do not fit each other",
         transposed, shape, weights=weights)
case("size of the transposed", "0 (TRANSPOSE_CONV)",
     "the convolution that it transposes leads to (3, 3), but the input is (2, 3)",
     transposed, (1, 5, 6, 2))
case("kernel larger than the transposed", "0 (TRANSPOSE_CONV)",
     "the kernel (3, 3) with dilation (1, 1) is larger than (2, 6)",
     transposed, (1, 2, 6, 2), options={"padding": schema.Padding.VALID})
case("biases of the transposed", "0 (TRANSPOSE_CONV)",
     "the biases have the shape (3,) instead of (2,)",
     transposed, bias=[Tensor(name="b", shape=(3,), dtype="int32", data=np.zeros(3, np.int32))])
case("activation of the transposed", "0 (TRANSPOSE_CONV)",
     "the fused activation TANH is not one of NONE, RELU, RELU_N1_TO_1, RELU6",
     transposed, options={"fusedActivationFunction": schema.ActivationFunctionType.TANH})


# Numbers that the arithmetic cannot hold
case("sums", "0 (CONV_2D)", "the sums of channel 2 can exceed 32 bits",
     with_tensor, CONV_B, data=np.where(np.arange(16) == 2, (1 << 31) - 1, 0).astype(np.int32))
case("factor", "0 (CONV_2D)",
     "channel 15 is rescaled by "
     f"{64 * DIGITS.tensors[IMAGE].scale / DIGITS.tensors[CONV_Y].scale}, but only factors below "
     "8 are possible",
     with_tensor, CONV_W, scales=(0.01,) * 15 + (64.0,))
case("factor beyond float32", "0 (FULLY_CONNECTED)",
     "channel 0 is rescaled by inf, but only factors below 8 are possible",
     written, "FULLY_CONNECTED", activation((1, 1), scales=(2e19,)), filters(1, 1, scale=2e19),
     activation((1, 1), scales=(3e38,)), activation="NONE")

# Fully connected
case("shuffled weights", "7 (FULLY_CONNECTED)", "the weights are in a shuffled format",
     with_options, DENSE, weightsFormat=1)
case("elements", "7 (FULLY_CONNECTED)",
     "shapes (1, 32), (10, 31) and (1, 10) do not fit each other",
     with_tensor, DENSE_W, shape=(10, 31), data=np.zeros((10, 31), np.int8))
case("scale of biases", "7 (FULLY_CONNECTED)",
     "the biases have the scale 1.0 instead of that of the sums, "
     f"{DIGITS.tensors[FLAT].scale * DIGITS.tensors[DENSE_W].scale}",
     with_tensor, DENSE_B, scales=(1.0,))

# Between layers
case("shapes to add", "4 (ADD)", "shapes (1, 4, 4, 32) and (1, 8, 8, 16) differ",
     with_operator, ADD, inputs=[POINTWISE_Y, CONV_Y])
case("constant to add", "4 (ADD)", "input 1 (3_conv_2d/weights) is a constant",
     with_operator, ADD, inputs=[POINTWISE_Y, POINTWISE_W])
case("scale of the sum", "0 (ADD)",
     "the output's scale 4.76837158203125e-07 is too small for those of the inputs",
     written, "ADD", *[activation((1, 2), scales=(1.0,))] * 2,
     activation((1, 2), scales=(2.0 ** -21,)), inputs=(0, 1), activation="NONE")
case("scale of the mean", "5 (AVERAGE_POOL_2D)",
     "input and output differ in scale or zero point: 0.35945773124694824, -128 and 0.5, 1",
     with_tensor, POOL_Y, scales=(0.5,), zero_point=1)


def averaged(*axes, keep=True, scale=0.5, size=(2, 3), result=(1, 1, 1, 2), **fields):
    """A MEAN over ``axes``; ``fields`` are those of their table."""
    table = Tensor(name="axes", **{"shape": (len(axes),), "dtype": "int32",
                                   "data": np.array(axes, np.int32)} | fields)
    data = written("MEAN", activation((1, *size, 2)), table,
                   activation(result, scales=(scale,)))
    return with_options(0, data, keepDims=keep)


for axes in ((0, 1, 2), (1, 1), (1, 2, 2), (1, 6), (-3, -6)):
    case(f"mean over {axes}", "0 (MEAN)",
         f"it goes over the axes {list(axes)} of (1, 2, 3, 2); only different ones, and not the "
         "first, that of the images, are possible",
         averaged, *axes)
case("axes computed", "0 (MEAN)", "the axes are not a constant", averaged, 1, 2, data=None)
case("type of axes", "0 (MEAN)", "the axes (axes) are int64, not int32",
     averaged, 1, 2, dtype="int64")
case("axes kept", "0 (MEAN)",
     "the output (x) has the shape (1, 1, 1, 2), but (1, 2) is what the inputs give",
     averaged, 1, 2, keep=False)
case("axes not kept", "0 (MEAN)",
     "the output (x) has the shape (1, 2), but (1, 1, 1, 2) is what the inputs give",
     averaged, 1, 2, result=(1, 2))
case("scale of the mean over axes", "0 (MEAN)",
     "the mean is rescaled by 8.0, but only factors below 8 are possible",
     averaged, 1, 2, scale=1 / 16)
case("sum over axes", "0 (MEAN)", "the sums of 16777216 pixels can exceed 32 bits",
     averaged, 1, 2, size=(1 << 12, 1 << 12))
case("reshaped elements", "6 (RESHAPE)",
     "shapes (1, 1, 1, 32) and (1, 31) hold different numbers of elements",
     with_tensor, FLAT, shape=(1, 31))
case("reshaped meaning", "6 (RESHAPE)",
     "input and output differ in scale or zero point: 0.35945773124694824, -128 and "
     "0.35945773124694824, 1", with_tensor, FLAT, zero_point=1)
case("other shape asked for", "6 (RESHAPE)",
     "the output has the shape (1, 32), but [2, 16] is asked for",
     with_options, RESHAPE, newShape=[2, 16])
case("shape computed", "6 (RESHAPE)", "the sizes of the new shape are not a constant",
     with_operator, RESHAPE, inputs=[POOL_Y, POOL_Y])
case("reshape of nothing", "6 (RESHAPE)", "it has 0 inputs and 1 outputs",
     with_operator, RESHAPE, inputs=[])
for value in BAD_SCALES:
    case(f"beta {value}", "8 (SOFTMAX)",
         f"beta {value} and the input's scale {DIGITS.tensors[DENSE_Y].scale} are out of range",
         with_options, SOFTMAX, beta=value)
case("scale of softmax", "8 (SOFTMAX)",
     "the output has the scale 0.0078125 and the zero point -128 instead of 1/256 and -128",
     with_tensor, SCORES, scales=(1 / 128,))
for scale in (2.0 ** -28, 2.0 ** 34):
    case(f"scale {scale} of logistic", "0 (LOGISTIC)", f"the input's scale {scale} is out of range",
         written, "LOGISTIC", activation((1, 2), scales=(scale,)),
         activation((1, 2), scales=(1 / 256,), zero_point=-128))
case("scale of the logistic", "0 (LOGISTIC)",
     "the output has the scale 0.00390625 and the zero point 3 instead of 1/256 and -128",
     written, "LOGISTIC", activation((1, 2)), activation((1, 2), scales=(1 / 256,)))
case("inputs of the logistic", "0 (LOGISTIC)", "it has 2 inputs and 1 outputs",
     written, "LOGISTIC", activation((1, 2)), activation((1, 2)), activation((1, 2)), inputs=(0, 1))
for kind, role in (("RELU", "what is positive"), ("QUANTIZE", "each number")):
    case(f"scale of {kind}", f"0 ({kind})",
         f"{role} is rescaled by 8.0, but only factors below 8 are possible",
         written, kind, activation((1, 2)), activation((1, 2), scales=(1 / 16,)))
    case(f"shape of {kind}", f"0 ({kind})",
         "the output (x) has the shape (1, 3), but (1, 2) is what the inputs give",
         written, kind, activation((1, 2)), activation((1, 3)))
case("meaning of RELU6", "0 (RELU6)",
     "input and output differ in scale or zero point: 0.5, 3 and 0.5, 4",
     written, "RELU6", activation((1, 2)), activation((1, 2), zero_point=4))
case("bounds of RELU6", "0 (RELU6)",
     f"the output's scale {float(np.float32(2e-9))} is too small for RELU6",
     written, "RELU6", *[activation((1, 2), scales=(2e-9,))] * 2)
WHOLE = ("convert the whole model to int8; only its inputs and outputs may be float32 or uint8, "
         "with a QUANTIZE or DEQUANTIZE next to them")
for ends in (("int16", "int8"), ("int8", "float32")):
    case(f"quantised from {ends[0]} to {ends[1]}", "0 (QUANTIZE)",
         f"from {ends[0]} to {ends[1]} it is not supported: {WHOLE}",
         written, "QUANTIZE", *[activation((1, 2), dtype=dtype) for dtype in ends])
for alpha in (-0.5, math.nan):
    case(f"alpha {alpha}", "0 (LEAKY_RELU)",
         f"alpha is {alpha}, but only factors from 0 on are possible",
         written, "LEAKY_RELU", activation((1, 2)), activation((1, 2)), alpha=alpha)
for alpha in (8.0, math.inf):
    case(f"alpha {alpha}", "0 (LEAKY_RELU)",
         f"what is negative is rescaled by {alpha}, but only factors below 8 are possible",
         written, "LEAKY_RELU", activation((1, 2)), activation((1, 2)), alpha=alpha)
case("scale of the leaky", "0 (LEAKY_RELU)",
     "what is positive is rescaled by 8.0, but only factors below 8 are possible",
     written, "LEAKY_RELU", activation((1, 2)), activation((1, 2), scales=(1 / 16,)), alpha=0.5)
case("classes", "0 (SOFTMAX)", "it goes over 4096 elements, more than 4095",
     written, "SOFTMAX", activation((1, 4096)),
     activation((1, 4096), scales=(1 / 256,), zero_point=-128), beta=1.0)


def joined(*shapes, result=None, options=None, **fields):
    """A CONCATENATION of ``shapes``; ``fields`` are those of the last of them."""
    parts = [activation(shape) for shape in shapes]
    parts[-1] = replace(parts[-1], **fields)
    y = activation(result or (*shapes[0][:-1], sum(shape[-1] for shape in shapes)))
    return with_options(0, written("CONCATENATION", *parts, y, inputs=tuple(range(len(parts)))),
                        **options or {})


case("parts along axis 4", "0 (CONCATENATION)", "its axis 4 is not one of 4",
     joined, (1, 2, 2, 3), (1, 2, 2, 3), options={"axis": 4})
for shape in ((1, 3, 2, 3), (1, 2, 3)):
    case(f"parts of {len(shape)} axes", "0 (CONCATENATION)",
         f"the shapes (1, 2, 2, 3), {shape} do not fit: they differ in more than axis 3",
         joined, (1, 2, 2, 3), shape)
case("size of the whole", "0 (CONCATENATION)",
     "the output (x) has the shape (1, 2, 2, 4), but (1, 2, 2, 6) is what the inputs give",
     joined, (1, 2, 2, 3), (1, 2, 2, 3), result=(1, 2, 2, 4))
case("scales of the parts", "0 (CONCATENATION)",
     "input and output differ in scale or zero point: 0.25, 3 and 0.5, 3",
     joined, (1, 2), (1, 3), scales=(0.25,))
case("zero points of the parts", "0 (CONCATENATION)",
     "input and output differ in scale or zero point: 0.5, 4 and 0.5, 3",
     joined, (1, 2), (1, 3), zero_point=4)
case("constant part", "0 (CONCATENATION)", "input 1 (x) is a constant",
     joined, (1, 2), (1, 3), data=np.zeros((1, 3), np.int8))
case("activation of the whole", "0 (CONCATENATION)",
     "the fused activation RELU is not possible here",
     joined, (1, 2), (1, 3), options={"fusedActivationFunction": 1})


def resized(size, *, old=(2, 3), options=None, like=None, **fields):
    """A RESIZE_NEAREST_NEIGHBOR from ``old`` to ``size``; ``fields`` are those of the table."""
    table = Tensor(name="sizes", **{"shape": (2,), "dtype": "int32",
                                    "data": np.array(size, np.int32)} | fields)
    data = written("RESIZE_NEAREST_NEIGHBOR", activation((1, *old, 2)), table,
                   activation((1, *size, 2), **like or {}))
    return with_options(0, data, **options or {})


case("sizes computed", "0 (RESIZE_NEAREST_NEIGHBOR)", "the sizes are not a constant",
     resized, (4, 6), data=None)
case("type of sizes", "0 (RESIZE_NEAREST_NEIGHBOR)", "the sizes (sizes) are int64, not int32",
     resized, (4, 6), dtype="int64")
case("shape of sizes", "0 (RESIZE_NEAREST_NEIGHBOR)",
     "the sizes have the shape (1, 2) instead of (2,)",
     resized, (4, 6), shape=(1, 2))
case("size of the resized", "0 (RESIZE_NEAREST_NEIGHBOR)",
     "the output (x) has the shape (1, 4, 6, 2), but (1, 4, 9, 2) is what the inputs give",
     resized, (4, 6), data=np.array([4, 9], np.int32))
case("scale of the resized", "0 (RESIZE_NEAREST_NEIGHBOR)",
     "input and output differ in scale or zero point: 0.5, 3 and 0.25, 3",
     resized, (4, 6), like={"scales": (0.25,)})
for size in ((1, 3), (2, 2), (3, 3), (2, 4), (5, 6)):
    case(f"resized to {size}", "0 (RESIZE_NEAREST_NEIGHBOR)",
         f"from (2, 3) to {size} with no option it does more than to repeat each pixel",
         resized, size)
case("aligned corners", "0 (RESIZE_NEAREST_NEIGHBOR)",
     "from (2, 3) to (8, 12) with align_corners it does more than to repeat each pixel",
     resized, (8, 12), options={"alignCorners": True})
case("aligned centers", "0 (RESIZE_NEAREST_NEIGHBOR)",
     "from (2, 3) to (4, 6) with align_corners and half_pixel_centers it does more than to repeat "
     "each pixel",
     resized, (4, 6), options={"alignCorners": True, "halfPixelCenters": True})


@pytest.mark.parametrize("options", [{}, {"halfPixelCenters": True}, {"alignCorners": True}])
def test_repetitions_are_read(options):
    graph = read_tflite(resized((4, 6), options=options))
    assert graph.operators[0].attributes == Resize(factor=(2, 2))


@pytest.mark.parametrize("make, args, kwargs, operator, reason", CASES)
def test_refuses(make, args, kwargs, operator, reason):
    assert refusals(make(*args, **kwargs))[operator] == reason


def padded(pads, **fields):
    """A PAD by the table ``pads``, and the result that follows."""
    pads = np.array(pads, np.int32)
    x, y = activation((1, 2, 3, 4)), activation((1, 2, 3, 4))
    if pads.shape == (4, 2):
        y = activation(tuple((np.array(x.shape) + pads.sum(axis=1)).tolist()))
    table = Tensor(name="pads", shape=pads.shape, **{"dtype": "int32", "data": pads} | fields)
    return written("PAD", x, table, y)


@pytest.mark.parametrize("pads", [[[-1, 2], [0, 0], [0, 0], [0, 0]],
                                  [[0, 0], [0, 0], [-1, 0], [0, 0]],
                                  [[0, 0], [0, 0], [0, 4097], [0, 0]]])
def test_refuses_padding(pads):
    assert refusals(padded(pads)) == {
        "0 (PAD)": f"the paddings {tuple(map(tuple, pads))} are not between 0 and 4096"}


@pytest.mark.parametrize("rows, fields, reason", [
    (3, {}, "the paddings have the shape (3, 2) instead of (4, 2)"),
    (4, {"dtype": "int64"}, "the paddings (pads) are int64, not int32"),
    (4, {"data": None}, "the paddings are not a constant"),
])
def test_refuses_table_of_padding(rows, fields, reason):
    assert refusals(padded([[0, 0]] * rows, **fields)) == {"0 (PAD)": reason}


def test_padding_is_read():
    graph = read_tflite(padded([[0, 0], [1, 2], [0, 3], [4, 0]]))
    assert graph.operators[0].attributes == Pad(padding=((0, 0), (1, 2), (0, 3), (4, 0)))
    assert graph.result(graph.operators[0]).shape == (1, 5, 6, 8)


def test_axis_counts_from_either_end():
    graph = read_tflite(joined((1, 2, 3), (1, 2, 4), options={"axis": -1}))
    assert graph.result(graph.operators[0]).shape == (1, 2, 7)


@pytest.mark.parametrize("kind, options, shape, other", [
    ("SQUEEZE", "SqueezeOptions", (1, 1, 3, 4), (1, 3, 4)),
    ("EXPAND_DIMS", "ExpandDimsOptions", (1, 3, 4), (1, 3, 1, 4))])
def test_axes_of_one(kind, options, shape, other):
    """They come and go as a RESHAPE has it; nothing else may change."""
    def model(*shapes, scale=0.5):
        def change(model):
            code, = model.operatorCodes
            code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
            operator, = model.subgraphs[0].operators
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(schema, f"{options}T")()
            if kind == "SQUEEZE":
                operator.builtinOptions.squeezeDims = [1]

        table = Tensor(name="axis", shape=(), dtype="int32", data=np.array(2, np.int32))
        axis = [table] if kind == "EXPAND_DIMS" else []
        return with_table(change, written("RESHAPE", activation(shapes[0]), *axis,
                                          activation(shapes[1], scales=(scale,))))

    graph, x = read_tflite(model(shape, other)), np.arange(12, dtype=np.int8).reshape(shape)
    operator, = graph.operators
    assert operator.kind == "RESHAPE" and operator.inputs[0] == 0
    want, = Reference(model(shape, other)).run(x)
    np.testing.assert_array_equal(run_graph(graph, x)[graph.outputs[0]], want)
    assert refusals(model(shape, (1, 4, 3))) == {
        f"0 ({kind})": f"shapes {shape} and (1, 4, 3) differ in more than axes of 1"}
    assert refusals(model(shape, other, scale=0.25)) == {
        f"0 ({kind})": "input and output differ in scale or zero point: 0.5, 3 and 0.25, 3"}


@pytest.mark.parametrize("kind, operator, reason", [
    ("FLOOR_DIV", "4 (FLOOR_DIV)", "not supported"),
    ("CUSTOM", "4 (CUSTOM Rotate)", "not supported"),
    ("DEQUANTIZE", "4 (DEQUANTIZE)", WHOLE),
])
def test_refuses_kinds(kind, operator, reason):
    def change(model):
        code = model.operatorCodes[model.subgraphs[0].operators[ADD].opcodeIndex]
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        code.customCode = "Rotate"

    assert refusals(with_table(change)) == {operator: reason}


@pytest.mark.parametrize("factor", [1, 1 - 2.0 ** -24, 1 + 2.0 ** -23])
def test_largest_factor(factor):
    """8 is refused, what is next below it is not."""
    one = activation((1, 1, 1, 1), scales=(1.0,))
    data = written("CONV_2D", one, filters(1, 1, 1, 1, scale=8.0 * factor), one, **UNIT)
    if factor < 1:
        graph = read_tflite(data)
        assert 7.9 < graph.rescale(graph.operators[0]).item() < 8
    else:
        assert refusals(data) == {"0 (CONV_2D)": f"channel 0 is rescaled by {8.0 * factor}, but "
                                                 "only factors below 8 are possible"}


@pytest.mark.parametrize("bias, fits", [((1 << 31) - 256, True), ((1 << 31) - 255, False),
                                        (256 - (1 << 31), True), (255 - (1 << 31), False)])
def test_largest_sum(bias, fits):
    """A weight of 1 and an input that is up to 255 above its zero point leave as much less for the
    bias."""
    biases = Tensor(name="b", shape=(1,), dtype="int32", scales=(0.05,),
                    data=np.array([bias], np.int32))
    data = written("CONV_2D", activation((1, 1, 1, 1), zero_point=-128), filters(1, 1, 1, 1),
                   biases, activation((1, 1, 1, 1)), **UNIT)
    if fits:
        assert read_tflite(data).tensors[2].data.item() == bias
    else:
        assert refusals(data) == {"0 (CONV_2D)": "the sums of channel 0 can exceed 32 bits"}


@pytest.mark.parametrize("distance, runs", [(0, True), (0.019, True), (-0.019, True),
                                            (0.021, False), (-0.021, False)])
def test_scale_of_biases_as_the_reference(distance, runs):
    """A fully connected layer's biases may be off by a fiftieth of the output's scale, no more."""
    scale = 0.25 + distance * 0.5
    biases = Tensor(name="b", shape=(1,), dtype="int32", scales=(scale,),
                    data=np.array([7], np.int32))
    data = written("FULLY_CONNECTED", activation((1, 1)), filters(1, 1, scale=0.5), biases,
                   activation((1, 1)), activation="NONE")
    if runs:
        read_tflite(data)
        Reference(data)
    else:
        assert refusals(data) == {
            "0 (FULLY_CONNECTED)": f"the biases have the scale {float(np.float32(scale))} instead "
                                   "of that of the sums, 0.25"}
        with pytest.raises(TflmError):
            Reference(data)
