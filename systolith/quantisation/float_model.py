"""Float .onnx models, made ready for the quantiser."""

from collections.abc import Mapping
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TypeProto, ValueInfoProto, version_converter

from rtl.wording import joined
from systolith.frontends.model_file import format_of
from systolith.graph.ir import ModelError

__all__ = ["OPSET", "input_shapes", "load_float", "with_opset"]

#: The first version of the operators in which scales for each channel are possible.
OPSET = 13

#: Operators that only quantised models have.
QUANTISED = {"QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger",
             "MatMulInteger", "DynamicQuantizeLinear"}


def load_float(path: Path, size: tuple[int, int] | None = None) -> ModelProto:
    """The float .onnx model in a file, with the constants that lie beside it, for one image: a
    first axis that is left open becomes 1, and height and width that are open become ``size``.

    Raises :exc:`~systolith.graph.ir.ModelError` for what is no such model, and names the file.
    """
    if format_of(path) != "onnx":
        raise ModelError(f"{path} is a .tflite model, which the converter that made it quantises; "
                         "docs/quantise.md says how")
    try:
        model = onnx.load(path)
    except (DecodeError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(f"{path}: not an .onnx model that can be read: {error}") from error
    if kinds := sorted({node.op_type for node in model.graph.node} & QUANTISED):
        raise ModelError(f"{path} is quantised already: it has {joined(kinds)}; run it: "
                         f"systolith run {path}")
    _name_inputs(model)
    for value in model.graph.input:
        _close(path, model, value, size)
    return model


def input_shapes(model: ModelProto) -> Mapping[str, tuple[int, ...]]:
    """The inputs of a model that :func:`load_float` read, and their shapes."""
    return {value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
            for value in model.graph.input}


def with_opset(path: Path, model: ModelProto) -> ModelProto:
    """``model`` with operators of :data:`OPSET` at the least."""
    version = next((each.version for each in model.opset_import
                    if each.domain in {"", "ai.onnx"}), OPSET)
    if version >= OPSET:
        return model
    try:
        return version_converter.convert_version(model, OPSET)
    except Exception as error:  # it has no common class of its own
        raise ModelError(f"{path} has operators of version {version}, and onnx does not convert "
                         f"them to {OPSET}; export it anew with opset_version={OPSET} or later: "
                         f"{error}") from error


def _name_inputs(model: ModelProto) -> None:
    """Leave constants out of the inputs, where old files have them: a caller could give others."""
    constants = {each.name for each in model.graph.initializer}
    inputs = [ValueInfoProto.FromString(each.SerializeToString()) for each in model.graph.input
              if each.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, 4)


def _close(path: Path, model: ModelProto, value: ValueInfoProto,
           size: tuple[int, int] | None) -> None:
    """Give the open axes of an input sizes, and those of outputs of the same names."""
    tensor = value.type.tensor_type
    if tensor.elem_type != onnx.TensorProto.FLOAT:
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
        raise ModelError(f"{path}: the input {value.name} is {kind}, not FLOAT: export the network "
                         "with inputs of float32")
    open_axes = [axis for axis, dim in enumerate(tensor.shape.dim) if dim.dim_value <= 0]
    names = {axis: tensor.shape.dim[axis].dim_param for axis in open_axes}
    sizes = {0: 1}
    image = [axis for axis in open_axes if axis]
    if size is not None and len(tensor.shape.dim) == 4 and len(image) == 2:
        sizes |= dict(zip(image, size, strict=True))
    for axis in open_axes:
        if axis not in sizes:
            raise ModelError(f"{path}: axis {axis} of the input {value.name} is left open: give "
                             "--size HxW, or export the model with a size")
        tensor.shape.dim[axis].dim_value = sizes[axis]
        _close_outputs(model, names[axis], sizes[axis])
    # What was inferred with open axes is inferred anew.
    del model.graph.value_info[:]


def _close_outputs(model: ModelProto, name: str, number: int) -> None:
    for output in model.graph.output:
        kind: TypeProto.Tensor = output.type.tensor_type
        for dim in kind.shape.dim:
            if name and dim.dim_param == name:
                dim.dim_value = number
