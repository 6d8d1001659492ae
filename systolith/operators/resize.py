"""Enlargements that repeat lines and pixels."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import tflite

from sim.golden import operators
from sim.golden.operators import nearest
from sim.golden.types import Int8
from systolith.compiler.lowering.pooling import resize
from systolith.frontends.onnx import shape_ops
from systolith.frontends.onnx.node import LARGEST
from systolith.frontends.onnx.node import Node as OnnxNode
from systolith.frontends.onnx.values import Activation
from systolith.frontends.onnx.values import Refusal as OnnxRefusal
from systolith.frontends.tflite.node import Node, Refusal, constant, same_numbers
from systolith.graph import golden
from systolith.graph.attributes import Pair, Resize, pair_of
from systolith.graph.ir import Graph, Operator
from systolith.graph.record import Channels, Locality, OperatorRecord, Role, register, unchanged

__all__: list[str] = []

#: Most elements of a result.
MOST_ELEMENTS = 1 << 22

Numbers = npt.NDArray[np.floating | np.integer]

#: Indices of the input that a pixel of an enlarged image is nearest to, by how an ONNX file says
#: where that is: of the place ``i`` in the result, the factor ``f``, the sizes ``n`` and ``m``.
PLACES: dict[str, Callable[[Numbers, int, int, int], Numbers]] = {
    "asymmetric": lambda i, f, n, m: i / f,
    "half_pixel": lambda i, f, n, m: (i + 0.5) / f - 0.5,
    "pytorch_half_pixel": lambda i, f, n, m: (i + 0.5) / f - 0.5 if m > 1 else 0 * i,
    "align_corners": lambda i, f, n, m: i * (n - 1) / (m - 1) if m > 1 else 0 * i,
}
NEAREST: dict[str, Callable[[Numbers], Numbers]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _golden(graph: Graph, operator: Operator, x: Int8) -> Int8:
    return operators.repeat(x, operator.attributes.factor)


def _shape(graph: Graph, operator: Operator) -> tuple[int, ...]:
    n, height, width, channels = graph.activation(operator).shape
    lines, pixels = operator.attributes.factor
    return n, height * lines, width * pixels, channels


def _convert(node: Node) -> Resize:
    node.expect(tflite.ResizeNearestNeighborOptions, 2)
    x, sizes = node.activation(0, 4), constant(node.inputs[1], "sizes", "int32")
    if sizes.shape != (2,):
        raise Refusal(f"the sizes have the shape {sizes.shape} instead of (2,)")
    old, new = x.size, pair_of(sizes.numbers.tolist())
    same_numbers(x, node.result((x.shape[0], *new, x.shape[3])))
    factor = pair_of(n // m for m, n in zip(old, new, strict=True))
    centers = {"align_corners": bool(node.option("AlignCorners")),
               "half_pixel_centers": bool(node.option("HalfPixelCenters"))}
    for m, n, times in zip(old, new, factor, strict=True):
        if n % m or np.any(nearest(m, n, **centers) != np.arange(n) // times):
            named = [name for name, value in centers.items() if value]
            raise Refusal(f"from {old} to {new} with {' and '.join(named) or 'no option'} it does "
                          "more than to repeat each pixel")
    return Resize(factor=factor)


def _of_onnx(node: OnnxNode) -> Activation:
    x = shape_ops.bounded(node)
    mode = node.text("mode", "nearest")
    if mode != "nearest":
        raise OnnxRefusal(f"the mode {mode!r} is not possible; only 'nearest' is")
    if len(x.shape) != 4:
        raise OnnxRefusal(f"its input has the shape {x.shape} instead of 4 axes")
    factor = _enlargement(node, x.shape)
    if node.kind == "Upsample" or node.version < 11:
        place, rounding = "asymmetric", "floor"
    else:
        place = node.text("coordinate_transformation_mode", "half_pixel")
        rounding = node.text("nearest_mode", "round_prefer_floor")
    if place not in PLACES or rounding not in NEAREST:
        raise OnnxRefusal(f"the mode {place!r} with {rounding!r} is not possible")
    for n, f in zip(x.shape[2:], factor, strict=True):
        index = NEAREST[rounding](PLACES[place](np.arange(n * f), f, n, n * f))
        if np.any(np.clip(index, 0, n - 1) != np.arange(n * f) // f):
            raise OnnxRefusal(f"with {place!r} and {rounding!r} it does more than to repeat each "
                              f"pixel {factor} times")
    builder = node.builder
    source = builder.image(x)
    draft = builder.draft(source)
    n, h, w, channels = draft.shape
    shape = (n, h * factor[0], w * factor[1], channels)
    if math.prod(shape) > MOST_ELEMENTS:
        raise OnnxRefusal(f"its result of shape {shape} is too large")
    tensor = builder.append("RESIZE_NEAREST_NEIGHBOR", [source], node.outputs[0], shape,
                            draft.unsigned, draft.quantisation, factor=factor)
    return replace(builder.result(tensor, (n, channels, *shape[1:3])), real=x.real)


def _enlargement(node: OnnxNode, shape: tuple[int, ...]) -> Pair:
    """Factors of lines and pixels."""
    if node.integers("axes"):
        raise OnnxRefusal("sizes of some axes are not possible: give them for all")
    sizes = node.operand(3)
    if sizes is not None:
        sizes = node.constant(3, "sizes").ravel().tolist()
        factors = [m / n for m, n in zip(sizes, shape, strict=False)]
    elif node.kind == "Upsample" and node.version < 9:
        factors = list(node.attribute("scales", "FLOATS", ()))
    else:
        at = 1 if node.kind == "Upsample" or node.version < 11 else 2
        factors = node.constant(at, "scales").ravel().tolist()
    if len(factors) != 4 or factors[:2] != [1, 1] or not all(
            1 <= f <= LARGEST and f == int(f) for f in factors):
        raise OnnxRefusal(f"the factors {factors} are not whole ones of lines and pixels")
    return pair_of(map(int, factors[2:]))


register(OperatorRecord(
    kind="RESIZE_NEAREST_NEIGHBOR", operands=(Role.ACTIVATION, Role.CONSTANT), optional=1,
    attributes=Resize, shape=_shape, complaint=golden.same_numbers,
    golden=dict.fromkeys(("tflm", "float32"), _golden), lower=resize,
    units=frozenset({"pooling"}), channels=Channels.SAME, locality=Locality.LINE,
    select=unchanged,
    tflite={"RESIZE_NEAREST_NEIGHBOR": _convert}, onnx={"Resize": _of_onnx, "Upsample": _of_onnx},
    writer=lambda graph, operator: ("ResizeNearestNeighborOptions", {}), version=2))
