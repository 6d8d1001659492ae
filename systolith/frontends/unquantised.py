"""Networks of either format in which nothing is int8: what they are, and what to do."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import GraphProto

__all__ = ["unquantised"]

CONVERT = ("convert it again with a representative dataset and TFLITE_BUILTINS_INT8, by the recipe "
           "in docs/quantise.md")
QUANTIZE = "systolith quantize {} --calibrate DATA -o model.int8.onnx"

#: Operators of .onnx that only quantised networks have.
INTEGERS = {"QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger",
            "MatMulInteger"}


def unquantised(form: str, data: bytes, name: str) -> str | None:
    """What a network of the format ``form`` is of which no activation is int8 or uint8, and what
    to do, as the end of a sentence about it. None if it has some, or is damaged."""
    return {"tflite": _tflite, "onnx": _onnx}[form](data, name)


def _tflite(data: bytes, name: str) -> str | None:
    import tflite

    from systolith.frontends.tflite.reader import DAMAGE

    try:
        activations, constants = _types(tflite.Model.GetRootAs(data, 0))
    except DAMAGE:
        return None
    of = tflite.TensorType
    if {of.INT8, of.UINT8} & activations:
        return None
    if of.INT16 in activations:
        return f"has int16 activations, and the accelerator int8: {CONVERT}"
    if of.FLOAT32 not in activations:
        return None
    if {of.INT8, of.UINT8} & constants:
        return ("has int8 weights, but float activations (dynamic-range quantisation, or hybrid): "
                + CONVERT)
    if of.FLOAT16 in constants:
        return f"is a float network with float16 weights: {CONVERT}"
    return f"is a float network: {CONVERT}"


def _types(model: Any) -> tuple[set[int], set[int]]:
    """Types of the activations of a .tflite file, and of its constants."""
    activations, constants = set[int](), set[int]()
    for subgraph in _all(model, "Subgraphs"):
        for tensor in _all(subgraph, "Tensors"):
            buffer = model.Buffers(tensor.Buffer())
            constant = buffer is not None and buffer.DataLength() > 0
            (constants if constant else activations).add(tensor.Type())
    return activations, constants


def _all(table: Any, name: str) -> Iterator[Any]:
    return (getattr(table, name)(index) for index in range(getattr(table, f"{name}Length")()))


def _wide(graph: "GraphProto") -> bool:
    """Whether activations of a .onnx file have zero points of 16 bits, and none has one of 8."""
    from onnx import TensorProto

    names = {name for node in graph.node if node.op_type == "QuantizeLinear"
             for name in node.input[2:]}
    types = {each.data_type for each in graph.initializer if each.name in names}
    return bool(types) and types <= {TensorProto.INT16, TensorProto.UINT16}


def _onnx(data: bytes, name: str) -> str | None:
    from onnx import ModelProto, TensorProto

    from systolith.frontends.onnx.reader import DAMAGE

    try:
        graph = ModelProto.FromString(data).graph
        kinds = {node.op_type for node in graph.node}
        inputs = {each.type.tensor_type.elem_type for each in graph.input}
        wide = _wide(graph)
    except DAMAGE:
        return None
    if "DynamicQuantizeLinear" in kinds:
        return ("is quantised dynamically: its scales change with each input; take the float "
                f"network that it was made of: {QUANTIZE.format('FLOAT.onnx')}")
    if wide:
        return f"has int16 activations, and the accelerator int8: {QUANTIZE.format('FLOAT.onnx')}"
    if not kinds or kinds & INTEGERS or any("QLinear" in kind or "QGemm" in kind for kind in kinds):
        return None
    if TensorProto.FLOAT in inputs:
        return f"is a float network; make it int8: {QUANTIZE.format(name)}"
    if {TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE} & inputs:
        return ("is a float network, but not of float32: export it as that, and then: "
                + QUANTIZE.format("FLOAT.onnx"))
    return None
