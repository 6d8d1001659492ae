"""From a :class:`systolith.graph.ir.Graph` to the bytes of a .tflite file: the inverse of the
reader."""

import flatbuffers
import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from sim.golden.conv import same_padding
from systolith.graph.ir import POINTWISE

__all__ = ["write_tflite"]

#: Versions of int8 operators; of the rest the first will do.
VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "TRANSPOSE_CONV": 4, "FULLY_CONNECTED": 4,
            "ADD": 2, "AVERAGE_POOL_2D": 2, "MAX_POOL_2D": 2, "MEAN": 2, "CONCATENATION": 2,
            "SOFTMAX": 2, "LOGISTIC": 2, "LEAKY_RELU": 2, "PAD": 2, "RESIZE_NEAREST_NEIGHBOR": 2}


def _code(enum, name):
    return getattr(getattr(schema, enum), name)


def _window(operator, image, kernel):
    """Fields of the options of a window over ``image``."""
    attributes, size = operator.attributes, image.shape[1:3]
    stride, padding = attributes["stride"], attributes["padding"]
    same = tuple(map(same_padding, size, kernel, stride, attributes.get("dilation", (1, 1))))
    if padding not in {same, ((0, 0), (0, 0))}:
        raise ValueError(f"the padding of operator {operator.index} must be that of SAME, {same}, "
                         f"or none, not {padding}")
    return {"padding": _code("Padding", "SAME" if padding == same else "VALID"),
            "strideH": stride[0], "strideW": stride[1]}


def _options(graph, operator):
    """Name and fields of the options of ``operator``; the name is NONE where it has none."""
    attributes = operator.attributes
    fields = {}
    if "activation" in attributes:
        fields["fusedActivationFunction"] = _code("ActivationFunctionType",
                                                  attributes["activation"])
    if "dilation" in attributes:
        fields["dilationHFactor"], fields["dilationWFactor"] = attributes["dilation"]
    x, y = graph.operand(operator, 0), graph.result(operator)
    match operator.kind:
        case "CONV_2D":
            kernel = graph.operand(operator, 1).shape[1:3]
            return "Conv2DOptions", fields | _window(operator, x, kernel)
        case "DEPTHWISE_CONV_2D":
            weights = graph.operand(operator, 1).shape
            return "DepthwiseConv2DOptions", fields | _window(operator, x, weights[1:3]) | {
                "depthMultiplier": weights[3] // x.shape[3]}
        case "TRANSPOSE_CONV":  # its window goes over the result
            kernel = graph.operand(operator, 1).shape[1:3]
            return "TransposeConvOptions", fields | _window(operator, y, kernel)
        case "AVERAGE_POOL_2D" | "MAX_POOL_2D":
            kernel = attributes["kernel"]
            return "Pool2DOptions", fields | _window(operator, x, kernel) | {
                "filterHeight": kernel[0], "filterWidth": kernel[1]}
        case "FULLY_CONNECTED":
            return "FullyConnectedOptions", fields
        case "ADD":
            return "AddOptions", fields
        case "MEAN":
            return "ReducerOptions", {"keepDims": len(y.shape) == len(x.shape)}
        case "CONCATENATION":
            return "ConcatenationOptions", {"axis": len(y.shape) - 1}
        case "SOFTMAX":
            return "SoftmaxOptions", {"beta": attributes["beta"]}
        case "LEAKY_RELU":
            return "LeakyReluOptions", {"alpha": attributes["alpha"]}
        case "RESHAPE":
            return "ReshapeOptions", {"newShape": list(y.shape)}
        case "RESIZE_NEAREST_NEIGHBOR":
            return "ResizeNearestNeighborOptions", {}
        case kind if kind in POINTWISE or kind == "DEQUANTIZE":
            return "NONE", {}
        case "PAD":
            return "PadOptions", {}
        case kind:
            raise ValueError(f"operators of kind {kind} cannot be written")


def _with(table, **fields):
    """An object of the schema with ``fields`` set."""
    result = getattr(schema, f"{table}T")()
    for name, value in fields.items():
        setattr(result, name, value)
    return result


def write_tflite(graph):
    """The bytes of a .tflite file that holds ``graph``.

    Raises :exc:`ValueError` for an operator that the format or this writer does not know, and for
    a padding that is neither SAME nor none.
    """
    buffers, tensors = [_with("Buffer")], []
    for tensor in graph.tensors:
        quantization = _with("QuantizationParameters")
        if tensor.scales:
            quantization = _with(
                "QuantizationParameters", scale=np.array(tensor.scales, np.float32),
                zeroPoint=np.full(len(tensor.scales), tensor.zero_point + 128 * tensor.unsigned,
                                  np.int64),
                quantizedDimension=tensor.axis)
        number = 0
        if tensor.data is not None:
            number = len(buffers)
            little = tensor.data.astype(np.dtype(tensor.dtype).newbyteorder("<"))
            buffers.append(_with("Buffer", data=np.frombuffer(little.tobytes(), np.uint8)))
        tensors.append(_with("Tensor", shape=np.array(tensor.shape, np.int32), buffer=number,
                             type=_code("TensorType", "U" * tensor.unsigned
                                        + tensor.dtype.upper()),
                             name=tensor.name, quantization=quantization))
    kinds = sorted({operator.kind for operator in graph.operators})
    codes = [_with("OperatorCode", builtinCode=_code("BuiltinOperator", kind),
                   deprecatedBuiltinCode=min(_code("BuiltinOperator", kind), 127),
                   version=VERSIONS.get(kind, 1)) for kind in kinds]
    operators = []
    for operator in graph.operators:
        name, fields = _options(graph, operator)
        operators.append(_with(
            "Operator", opcodeIndex=kinds.index(operator.kind),
            inputs=np.array(operator.inputs, np.int32),
            outputs=np.array(operator.outputs, np.int32),
            builtinOptionsType=_code("BuiltinOptions", name),
            builtinOptions=None if name == "NONE" else _with(name, **fields)))
    subgraph = _with("SubGraph", tensors=tensors, operators=operators, name="main",
                     inputs=np.array(graph.inputs, np.int32),
                     outputs=np.array(graph.outputs, np.int32))
    model = _with("Model", version=3, operatorCodes=codes, subgraphs=[subgraph], buffers=buffers)
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
