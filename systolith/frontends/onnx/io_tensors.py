"""Where a network begins and ends, as :mod:`systolith.graph.file_layout` takes it."""

from collections.abc import Mapping

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto

from systolith.frontends.onnx.builder import LAYOUTS, Builder, image_shape, layout_of
from systolith.frontends.onnx.node import damaged
from systolith.frontends.onnx.values import (
    Activation,
    Constant,
    FloatInput,
    Shape,
    Value,
    Values,
    in_order,
)
from systolith.graph.ir import ModelError

__all__ = ["enter", "inputs", "leave", "unfinished"]

#: Types of inputs: whether they are uint8; floats are quantised by the host.
TYPES: dict[int, bool | None] = {
    TensorProto.FLOAT: None, TensorProto.INT8: False, TensorProto.UINT8: True}

#: What passes on the numbers of an input as they are.
PASSING = {"QuantizeLinear", "DequantizeLinear", "Identity"}

#: What takes three axes for channels before pixels.
SPATIAL = {"Conv", "ConvInteger", "QLinearConv", "MaxPool", "AveragePool", "GlobalAveragePool",
           "QLinearAveragePool", "QLinearGlobalAveragePool"}


def inputs(graph: GraphProto, values: Values) -> list[tuple[str, Value | None]]:
    """Names and values of what the network is given."""
    constants = {tensor.name for tensor in graph.initializer}
    return [(each.name, values[each.name]) for each in graph.input if each.name not in constants]


def enter(graph: GraphProto, builder: Builder, values: Values) -> None:
    """Define the inputs of a file's ``graph``."""
    readers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for each in graph.input:
        if each.name in values and isinstance(values[each.name], Constant):
            continue
        if not each.name or each.name in values:
            raise damaged(f"the input {each.name!r} is there twice, or has no name")
        shape, unsigned = _shape(each), _type(each)
        layout = _layout(each.name, len(shape), readers)
        first = layout in {"NCHW", "NCW"}
        order = in_order(shape, 1 if first else len(shape) - 1)
        values[each.name] = FloatInput(each.name, shape, shape, order)
        if unsigned is not None:
            tensor = builder.enter(each.name, shape, unsigned, layout)
            values[each.name] = Activation(tensor, shape, order)
        else:
            builder.layouts[each.name] = layout
    if not inputs(graph, values):
        raise ModelError("the model has no inputs")


def _type(each: ValueInfoProto) -> bool | None:
    code = each.type.tensor_type.elem_type
    if code not in TYPES:
        names = TensorProto.DataType.DESCRIPTOR.values_by_number
        raise ModelError(f"the model's input {each.name!r} is "
                         f"{names[code].name if code in names else code}, not INT8, UINT8 or FLOAT")
    return TYPES[code]


def _shape(each: ValueInfoProto) -> Shape:
    """Sizes of an input; a first one that is left open counts as 1."""
    if not each.type.tensor_type.HasField("shape"):
        raise ModelError(f"the model's input {each.name!r} has no shape: export it with one")
    sizes = [size.dim_value if size.HasField("dim_value") else None
             for size in each.type.tensor_type.shape.dim]
    if sizes and sizes[0] in {None, 0}:
        sizes[0] = 1
    known = [size for size in sizes if size is not None]
    if not 1 <= len(sizes) <= 6 or len(known) < len(sizes) or min(known) < 1:
        raise ModelError(f"the model's input {each.name!r} has the shape {sizes}: all sizes but "
                         "the first must be known; export it with fixed ones")
    if np.prod(np.array(known, float)) > 1 << 22:
        raise damaged(f"the input {each.name!r} has the impossible shape {sizes}")
    return tuple(known)


def _layout(name: str, rank: int, readers: Mapping[str, list[NodeProto]]) -> str:
    """How an input of the name has its axes, by what reads it first."""
    if rank not in LAYOUTS:
        return "NHWC"
    last, first = LAYOUTS[rank]
    waiting, seen, kinds = [name], set[str](), list[NodeProto]()
    while waiting:
        for node in readers.get(waiting.pop(), ()):
            if node.op_type in PASSING:
                waiting += [each for each in node.output if each not in seen]
                seen.update(node.output)
            else:
                kinds.append(node)
    turned = [tuple(attribute.ints) == (0, rank - 1, *range(1, rank - 1)) for node in kinds
              if node.op_type == "Transpose" for attribute in node.attribute
              if attribute.name == "perm"]
    if any(turned):
        return last
    if rank == 4 or any(node.op_type in SPATIAL for node in kinds):
        return first
    return "NHWC"


def leave(graph: GraphProto, builder: Builder, values: Values) -> list[int]:
    """Tensors of the outputs of a file's ``graph``, in its order."""
    if not graph.output:
        raise ModelError("the model has no outputs")
    return [_left(each.name, builder, values) for each in graph.output]


def unfinished(name: str, values: Values) -> str:
    """Why a value cannot be an output of the graph, or ""."""
    value = values.get(name)
    if not isinstance(value, Activation):
        return (f"the model's output {name!r} is not quantised: end it with a QuantizeLinear to "
                "int8 or uint8, which a DequantizeLinear may follow")
    if (value.low, value.high) != (-np.inf, np.inf):
        return (f"the model's output {name!r} is the result of a Relu or Clip that nothing has "
                "quantised: put a QuantizeLinear behind it")
    return ""


def _left(name: str, builder: Builder, values: Values) -> int:
    if name not in values:
        raise ModelError(f"the model's output is {name!r}, which nothing computes")
    value = values[name]
    assert isinstance(value, Activation), f"{name} is not finished"
    if value.shape[0] != builder.draft(value.tensor).shape[0]:
        raise ModelError(f"the model's output {name!r} is transposed so that its first axis is not "
                         "that of the images")
    if len(value.shape) not in LAYOUTS or not np.array_equal(
            value.order, in_order(value.shape, 1)):
        value = builder.arranged(value, len(value.shape) - 1)
    shape = builder.draft(value.tensor).shape
    shapes = [shape, value.shape]
    if len(value.shape) in LAYOUTS:
        shapes.insert(1, image_shape(value.shape))
    shape, layout = next((each, layout) for each in shapes if (layout := layout_of(value, each)))
    tensor = builder.reshape(value.tensor, shape)
    draft = builder.draft(tensor)
    if draft.layout != layout and tensor in builder.io_tensors:
        tensor = builder.reshape(tensor, shape, draft.quantisation)
        draft = builder.draft(tensor)
    builder.io_tensors.add(tensor)
    draft.layout = layout
    if not value.real or tensor not in builder.entered.values():
        draft.name, draft.named = name, True
    return tensor
