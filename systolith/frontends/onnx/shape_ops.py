"""Operators that move numbers, or choose among them, and keep what they mean."""

import math
from dataclasses import replace

import numpy as np

from sim.golden import float32
from systolith.frontends.onnx import pointwise, pools
from systolith.frontends.onnx.builder import FULL
from systolith.frontends.onnx.node import LARGEST, single
from systolith.frontends.onnx.values import (
    Activation,
    Constant,
    FloatInput,
    Pending,
    Refusal,
    Sums,
    Weights,
)

__all__ = ["CONVERTERS", "bounds_of", "quantised_bounds", "unbounded"]

#: Indices of the input that a pixel of an enlarged image is nearest to, by how the file says
#: where that is: of the place ``i`` in the result, the factor ``f``, the sizes ``n`` and ``m``.
PLACES = {
    "asymmetric": lambda i, f, n, m: i / f,
    "half_pixel": lambda i, f, n, m: (i + 0.5) / f - 0.5,
    "pytorch_half_pixel": lambda i, f, n, m: (i + 0.5) / f - 0.5 if m > 1 else 0 * i,
    "align_corners": lambda i, f, n, m: i * (n - 1) / (m - 1) if m > 1 else 0 * i,
}
NEAREST = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _moving(function):
    """The check of an operator that only moves numbers: ``function(node, shape)`` gives what it
    does to an array of that ``shape``."""
    def check(node):
        value = node.operand(0)
        if not isinstance(value, (Activation, FloatInput, Constant, Weights)):
            node.activation(0)  # says what it is instead
        shape = value.array.shape if isinstance(value, (Constant, Weights)) else value.shape
        move = function(node, shape)
        match value:
            case Constant():
                return Constant(move(value.array))
            case Weights(axis=None):
                return replace(value, array=move(value.array))
            case Weights():
                raise Refusal("weights with a scale for each channel cannot be reshaped: store "
                              "them as their layer needs them")
        return value.moved(move)
    return check


def _new_shape(node, shape):
    sizes = (node.integers("shape") if node.version < 5
             else tuple(node.constant(1, "sizes of the new shape").ravel().tolist()))
    zero_stays = not node.integer("allowzero", 0)
    sizes = [shape[axis] if size == 0 and zero_stays and axis < len(shape) else size
             for axis, size in enumerate(sizes)]
    known = math.prod(size for size in sizes if size != -1)
    total = math.prod(shape)
    if sizes.count(-1) == 1 and known > 0 and total % known == 0:
        sizes[sizes.index(-1)] = total // known
    if any(size < 1 for size in sizes) or math.prod(sizes) != total:
        raise Refusal(f"{shape} cannot take the shape {tuple(sizes)}")
    return sizes


def _reshape(node, shape):
    node.expect(1 if node.version < 5 else 2)
    sizes = _new_shape(node, shape)
    return lambda x: x.reshape(sizes)


def _flatten(node, shape):
    node.expect(1)
    axis = node.integer("axis", 1)
    if not -len(shape) <= axis <= len(shape):
        raise Refusal(f"its axis {axis} is not one of {len(shape)}")
    axis += len(shape) if axis < 0 else 0
    return lambda x: x.reshape(math.prod(shape[:axis]), math.prod(shape[axis:]))


def _axes(node, rank):
    """Axes of Squeeze and Unsqueeze, or :data:`None`."""
    if node.version < 13:
        axes = node.integers("axes", None)
    else:
        axes = (None if node.operand(1) is None
                else tuple(node.constant(1, "axes").ravel().tolist()))
    if axes is None:
        return None
    if not all(-rank <= axis < rank for axis in axes) or len({a % rank for a in axes}) < len(axes):
        raise Refusal(f"its axes {axes} are not different ones of {rank}")
    return tuple(axis % rank for axis in axes)


def _squeeze(node, shape):
    node.expect(1, 2)
    axes = _axes(node, len(shape))
    axes = tuple(a for a, size in enumerate(shape) if size == 1) if axes is None else axes
    if any(shape[axis] != 1 for axis in axes):
        raise Refusal(f"the axes {axes} of {shape} are not all 1")
    return lambda x: np.squeeze(x, axes)


def _unsqueeze(node, shape):
    node.expect(1, 2)
    count = (len(node.integers("axes")) if node.version < 13
             else node.constant(1, "axes").size)
    if count > 8:
        raise Refusal(f"it has {count} axes, more than 8")
    axes = _axes(node, len(shape) + count)
    return lambda x: np.expand_dims(x, axes or ())


def _transpose(node, shape):
    node.expect(1)
    order = node.integers("perm") or tuple(reversed(range(len(shape))))
    if sorted(order) != list(range(len(shape))):
        raise Refusal(f"its perm {order} is not an order of {len(shape)} axes")
    return lambda x: x.transpose(order)


def _same(node, shape):
    node.expect(1, 3, outputs=2)
    return lambda x: x


def unbounded(node, position=0):
    """Activation ``position``, of integers or real, that no ReLU waits to bound."""
    value = node.operand(position)
    x = node.activation(position, real=isinstance(value, Activation) and value.real)
    if (x.low, x.high) != (-math.inf, math.inf):
        raise Refusal(f"input {position} is the result of a Relu or Clip that nothing has "
                      "quantised: quantise it in between")
    return x


def _bounded(node):
    """Activation 0, of integers or real; what a ReLU or Clip bounds in its own scale."""
    value = node.operand(0)
    x = node.activation(0, real=isinstance(value, Activation) and value.real)
    if (x.low, x.high) == (-math.inf, math.inf):
        return x
    draft = node.builder.tensors[x.tensor]
    scale, zero_point = draft.quantisation.scale, draft.quantisation.zero_point
    bounds = quantised_bounds(x.low, x.high, scale, zero_point)
    for real, number, outside in zip((x.low, x.high), bounds, FULL, strict=True):
        if number != outside and real != np.float32(number - zero_point) * np.float32(scale):
            return unbounded(node)  # says that it must be quantised
    return replace(pointwise.requantise(node, x, scale, zero_point, draft.unsigned, bounds),
                   real=True)


def _max_pool(node):
    node.expect(1, outputs=1)
    x = _bounded(node)
    return replace(pools.maximum(node, x), real=x.real)


def _fill(node, real):
    """The number that a Pad puts in, which may be quantised as whatever else is."""
    fill = node.operand(2)
    match fill:
        case None:
            return np.float32(0) if real else np.int64(0)
        case Weights() if real:
            return single((fill.array.astype(np.float32) - fill.zero_points) * fill.scales, "fill")
    return single(node.constant(2, "fill"), "fill")


def _pad(node):
    x = _bounded(node)
    if node.attribute("mode", "STRING", "constant") != "constant":
        raise Refusal("only padding with a constant is possible")
    if node.version < 11:
        node.expect(1)
        pads, value = node.integers("pads"), np.float32(node.number("value", 0.0))
    else:
        node.expect(2, 4)
        pads = tuple(node.constant(1, "paddings").ravel().tolist())
        value = _fill(node, x.real)
    rank = len(x.shape)
    if node.operand(3) is not None:
        raise Refusal("padding of some axes is not possible: give paddings for all")
    if len(pads) != 2 * rank or not all(0 <= pad <= LARGEST for pad in pads):
        raise Refusal(f"the paddings {pads} are not {2 * rank} numbers between 0 and {LARGEST}")
    pairs = tuple(zip(pads[:rank], pads[rank:], strict=True))
    if any(map(any, pairs[:2])):
        raise Refusal(f"the paddings {pairs} pad images or channels; only lines and pixels are "
                      "possible")
    builder = node.builder
    source = builder.image(x)
    draft = builder.tensors[source]
    if draft.quantisation.zero_point is None:
        draft.quantisation.zero_point = int(value) - 128 * draft.unsigned
    if value != (0 if x.real else draft.quantisation.zero_point + 128 * draft.unsigned):
        raise Refusal(f"it pads with {value} instead of the zero point: only zeros are possible")
    pairs = (*pairs[2:],)
    pairs = ((0, 0), *((0, 0),) * (2 - len(pairs)), *pairs, (0, 0))
    shape = tuple(size + sum(pair) for size, pair in zip(draft.shape, pairs, strict=True))
    if math.prod(shape) > 1 << 22:
        raise Refusal(f"its result of shape {shape} is too large")
    tensor = builder.append("PAD", [source], node.outputs[0], shape, draft.unsigned,
                            draft.quantisation, padding=pairs)
    file_shape = (shape[0], shape[3], *shape[1:3][4 - rank:])
    return replace(builder.result(tensor, file_shape), real=x.real)


def _resize(node):
    x = _bounded(node)
    mode = node.attribute("mode", "STRING", "nearest")
    if mode != "nearest":
        raise Refusal(f"the mode {mode!r} is not possible; only 'nearest' is")
    if len(x.shape) != 4:
        raise Refusal(f"its input has the shape {x.shape} instead of 4 axes")
    factor = _enlargement(node, x.shape)
    if node.kind == "Upsample" or node.version < 11:
        place, rounding = "asymmetric", "floor"
    else:
        place = node.attribute("coordinate_transformation_mode", "STRING", "half_pixel")
        rounding = node.attribute("nearest_mode", "STRING", "round_prefer_floor")
    if place not in PLACES or rounding not in NEAREST:
        raise Refusal(f"the mode {place!r} with {rounding!r} is not possible")
    for n, f in zip(x.shape[2:], factor, strict=True):
        index = NEAREST[rounding](PLACES[place](np.arange(n * f), f, n, n * f))
        if np.any(np.clip(index, 0, n - 1) != np.arange(n * f) // f):
            raise Refusal(f"with {place!r} and {rounding!r} it does more than to repeat each pixel "
                          f"{factor} times")
    builder = node.builder
    source = builder.image(x)
    draft = builder.tensors[source]
    n, h, w, channels = draft.shape
    shape = (n, h * factor[0], w * factor[1], channels)
    if math.prod(shape) > 1 << 22:
        raise Refusal(f"its result of shape {shape} is too large")
    tensor = builder.append("RESIZE_NEAREST_NEIGHBOR", [source], node.outputs[0], shape,
                            draft.unsigned, draft.quantisation, factor=factor)
    return replace(builder.result(tensor, (n, channels, *shape[1:3])), real=x.real)


def _enlargement(node, shape):
    """Factors of lines and pixels."""
    if node.integers("axes"):
        raise Refusal("sizes of some axes are not possible: give them for all")
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
        raise Refusal(f"the factors {factors} are not whole ones of lines and pixels")
    return tuple(map(int, factors[2:]))


def bounds_of(node):
    """Bounds (low, high) of a Relu or Clip as arrays of one number, infinite where there is
    none."""
    if node.kind == "Relu":
        node.expect(1)
        return 0.0, math.inf
    if node.version < 11:
        node.expect(1)
        bounds = node.number("min", -math.inf), node.number("max", math.inf)
    else:
        node.expect(1, 3)
        bounds = tuple(other if node.operand(at) is None else
                       single(node.constant(at, "bounds"), "bound").item()
                       for at, other in ((1, -math.inf), (2, math.inf)))
    if not bounds[0] <= bounds[1]:
        raise Refusal(f"its bounds are {bounds[0]} and {bounds[1]}")
    return bounds


def quantised_bounds(low, high, scale, zero_point):
    """int8 bounds of numbers between the real ``low`` and ``high``."""
    return tuple(int(float32.quantize(bound, scale, zero_point)) for bound in (low, high))


def _clamp(node):
    """ReLU and Clip: bounds that wait for the scale of what is quantised next. Of integers they
    are numbers themselves."""
    low, high = bounds_of(node)
    value = node.operand(0)
    if isinstance(value, Pending) or isinstance(value, (Activation, Sums)) and value.real:
        return replace(value, low=max(min(value.low, high), low),
                       high=min(max(value.high, low), high))
    x = node.activation(0)
    draft = node.builder.tensors[x.tensor]
    bounds = tuple(int(min(max(bound - 128 * draft.unsigned, -128), 127)) for bound in (low, high))
    old = draft.quantisation.completed(draft.unsigned)
    return pointwise.lookup(node, x, "QUANTIZE", old.scale, old.zero_point, draft.unsigned, bounds)


#: What moves numbers or chooses among them, of integers and of floats.
CONVERTERS = {
    "Reshape": _moving(_reshape),
    "Flatten": _moving(_flatten),
    "Squeeze": _moving(_squeeze),
    "Unsqueeze": _moving(_unsqueeze),
    "Transpose": _moving(_transpose),
    "Identity": _moving(_same),
    "Dropout": _moving(_same),
    "MaxPool": _max_pool,
    "Pad": _pad,
    "Resize": _resize,
    "Upsample": _resize,
    "Relu": _clamp,
    "Clip": _clamp,
}
