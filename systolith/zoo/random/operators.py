"""Random operators, each a graph of its own."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, SupportsInt

import numpy as np

from sim.golden.conv import output_size, same_padding
from sim.golden.types import Int8, Padding, Pair
from systolith.graph.ir import Graph, Tensor, make_operator

__all__ = ["MAKERS", "graph_of", "int8", "tensor"]


def int8(rng: np.random.Generator, shape: int | tuple[int, ...]) -> Int8:
    """Random numbers, extremes more often than by chance."""
    values = rng.integers(-128, 128, shape)
    return np.where(rng.random(shape) < 0.1, rng.choice([-128, 127], shape), values).astype(np.int8)


def scale(rng: np.random.Generator, low: float = 1e-3, high: float = 1.0) -> float:
    return float(np.float32(math.exp(rng.uniform(math.log(low), math.log(high)))))


def tensor(rng: np.random.Generator, name: str, shape: Iterable[SupportsInt],
           **fields: Any) -> Tensor:
    fields = {"scales": (scale(rng),), "zero_point": int(rng.integers(-128, 128)), **fields}
    return Tensor(name=name, shape=tuple(map(int, shape)), **fields)


def geometry(rng: np.random.Generator,
             dilated: bool = True) -> tuple[Pair, Pair, Pair, Padding, Pair]:
    """Attributes of a window, and a size (h, w) on which it has at least one output."""
    kernel = tuple(rng.integers(1, 6, 2).tolist())
    if rng.random() < 0.2:  # of one axis
        kernel = tuple(rng.permutation([1, int(rng.integers(1, 13))]).tolist())
    stride, dilation = (tuple(rng.integers(1, 4, 2).tolist()) for _ in range(2))
    if not dilated or rng.random() < 0.5:
        dilation = (1, 1)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    if rng.random() < 0.5:
        height, width = (span + int(rng.integers(0, 7)) for span in spans)
        rows, columns = (0, 0), (0, 0)
    else:
        height, width = rng.integers(1, 11, 2).tolist()
        rows, columns = map(same_padding, (height, width), kernel, stride, dilation)
    return kernel, stride, dilation, (rows, columns), (height, width)


def outputs(size: Pair, kernel: Pair, stride: Pair, dilation: Pair, padding: Padding) -> Pair:
    height, width = map(output_size, size, kernel, stride, dilation, padding)
    return height, width


def activation(rng: np.random.Generator) -> str:
    return str(rng.choice(["NONE", "RELU", "RELU6", "RELU_N1_TO_1"]))


def constants(rng: np.random.Generator, weights_shape: tuple[int, ...], axis: int, x: Tensor,
              spread: int, one_scale: bool = False) -> tuple[Tensor, Tensor]:
    """Weights and biases whose accumulators spread over the output's range or so."""
    channels = weights_shape[axis]
    scales = tuple(scale(rng, 1e-4, 1e-1) for _ in range(1 if one_scale else channels))
    weights = tensor(rng, "weights", weights_shape, data=int8(rng, weights_shape), scales=scales,
                     zero_point=0, axis=axis)
    bias = tensor(rng, "bias", (channels,), dtype="int32", zero_point=0,
                  scales=tuple(float(np.float32(x.scale) * np.float32(s)) for s in scales),
                  data=rng.integers(-spread, spread + 1, channels).astype(np.int32))
    return weights, bias


def out_scale(rng: np.random.Generator, x: Tensor, weights: Tensor, taps: int) -> tuple[float]:
    """A scale with which results are neither all saturated nor all alike."""
    typical = x.scale * float(np.mean(weights.scales)) * 128 * 70 * math.sqrt(taps)
    least = x.scale * max(weights.scales) / 7  # a rescaling stays below 8
    return (float(np.float32(max(typical / 128 * math.exp(rng.uniform(-2, 2)), least))),)


def graph_of(kind: str, tensors: Sequence[Tensor], attributes: dict[str, Any]) -> Graph:
    """A graph of one operator: its operands, constants among them, and then the result."""
    last = len(tensors) - 1
    operator = make_operator(kind, tuple(range(last)), (last,), attributes)
    inputs = tuple(n for n in range(last) if tensors[n].data is None)
    return Graph(tensors=tuple(tensors), operators=(operator,), inputs=inputs, outputs=(last,))


def conv(rng: np.random.Generator) -> Graph:
    kernel, stride, dilation, padding, size = geometry(rng)
    groups = int(rng.choice([1, 1, 1, 2, 3, 4]))
    cin, filters = int(rng.integers(1, 20 // groups + 1)), int(rng.integers(1, 20 // groups + 1))
    x = tensor(rng, "x", (1, *size, cin * groups))
    weights, bias = constants(rng, (filters * groups, *kernel, cin), 0, x, 5000,
                              rng.random() < 0.2)
    y = tensor(rng, "y", (1, *outputs(size, kernel, stride, dilation, padding), filters * groups),
               scales=out_scale(rng, x, weights, math.prod(kernel) * cin))
    return graph_of("CONV_2D", [x, weights, bias, y], {
        "stride": stride, "dilation": dilation, "padding": padding, "activation": activation(rng)})


def depthwise(rng: np.random.Generator) -> Graph:
    kernel, stride, dilation, padding, size = geometry(rng)
    channels, multiplier = int(rng.integers(1, 21)), int(rng.choice([1, 1, 2, 3, 8]))
    x = tensor(rng, "x", (1, *size, channels))
    weights, bias = constants(rng, (1, *kernel, channels * multiplier), 3, x, 2000)
    y = tensor(rng, "y",
               (1, *outputs(size, kernel, stride, dilation, padding), channels * multiplier),
               scales=out_scale(rng, x, weights, math.prod(kernel)))
    return graph_of("DEPTHWISE_CONV_2D", [x, weights, bias, y], {
        "stride": stride, "dilation": dilation, "padding": padding, "activation": activation(rng)})


def transposed(rng: np.random.Generator) -> Graph:
    kernel, stride, _, padding, size = geometry(rng, dilated=False)
    cin, filters = rng.integers(1, 13, 2).tolist()
    x = tensor(rng, "x", (1, *outputs(size, kernel, stride, (1, 1), padding), cin))
    weights, bias = constants(rng, (filters, *kernel, cin), 0, x, 5000, rng.random() < 0.2)
    y = tensor(rng, "y", (1, *size, filters),
               scales=out_scale(rng, x, weights, math.prod(kernel) * cin / math.prod(stride)))
    shape = Tensor(name="shape", shape=(4,), dtype="int32", data=np.array(y.shape))
    operands = [shape, weights, x, bias][:3 + (rng.random() < 0.8)]
    return graph_of("TRANSPOSE_CONV", [*operands, y], {
        "stride": stride, "padding": padding, "activation": activation(rng)})


def dense(rng: np.random.Generator) -> Graph:
    cin, cout = (int(n) for n in rng.integers(1, 65, 2))
    x = tensor(rng, "x", (1, cin))
    weights, bias = constants(rng, (cout, cin), 0, x, 5000, rng.random() < 0.7)
    y = tensor(rng, "y", (1, cout), scales=out_scale(rng, x, weights, cin))
    return graph_of("FULLY_CONNECTED", [x, weights, bias, y], {"activation": activation(rng)})


def addition(rng: np.random.Generator) -> Graph:
    shape = (1, *rng.integers(1, 9, 3))
    return graph_of("ADD", [tensor(rng, name, shape) for name in "aby"],
                    {"activation": activation(rng)})


def pool(kind: str) -> Callable[[np.random.Generator], Graph]:
    def make(rng: np.random.Generator) -> Graph:
        kernel, stride, _, padding, size = geometry(rng, dilated=False)
        x = tensor(rng, "x", (1, *size, rng.integers(1, 21)))
        y = tensor(rng, "y", (1, *outputs(size, kernel, stride, (1, 1), padding), x.shape[3]),
                   scales=x.scales, zero_point=x.zero_point)
        return graph_of(kind, [x, y], {"kernel": kernel, "stride": stride, "padding": padding,
                                       "activation": activation(rng)})
    return make


def soft_maximum(rng: np.random.Generator) -> Graph:
    shape = (1, rng.integers(1, 40))
    return graph_of("SOFTMAX", [
        tensor(rng, "x", shape), tensor(rng, "y", shape, scales=(1 / 256,), zero_point=-128)],
        {"beta": float(rng.choice([0.5, 1.0, 2.0]))})


def logistic(rng: np.random.Generator) -> Graph:
    shape, low = (1, *rng.integers(1, 9, 3)), rng.choice([1e-3, 2.0 ** -27])
    x = tensor(rng, "x", shape, scales=(scale(rng, low, 1 / (low * 8)),))
    return graph_of("LOGISTIC", [
        x, tensor(rng, "y", shape, scales=(1 / 256,), zero_point=-128)], {})


def tanh(rng: np.random.Generator) -> Graph:
    shape = (1, *rng.integers(1, 9, 3))
    return graph_of("TANH", [
        tensor(rng, "x", shape, scales=(scale(rng, 1e-3, 1e2),)),
        tensor(rng, "y", shape, scales=(1 / 128,), zero_point=0)], {})


def hard_swish(rng: np.random.Generator) -> Graph:
    shape, x_scale = (1, *rng.integers(1, 9, 3)), scale(rng, 1e-3, 1)
    return graph_of("HARD_SWISH", [
        tensor(rng, "x", shape, scales=(x_scale,)),
        tensor(rng, "y", shape, scales=(float(np.float32(x_scale * scale(rng, 0.1, 4))),))], {})


def near_tie(rng: np.random.Generator, factor: float = 1.0) -> tuple[float, float]:
    """Scales of an input and a result such that many products with ``factor`` lie between two
    integers, or next to it."""
    result = scale(rng, 1e-2, 1e-1)
    quotient = rng.integers(1, 32) / rng.choice([4, 8, 16, 32])
    return float(np.float32(quotient * result / factor)), result


def between_scales(rng: np.random.Generator, kind: str, factor: float = 1.0,
                   **attributes: Any) -> Graph:
    shape, (x_scale, y_scale) = (1, *rng.integers(1, 9, 3)), near_tie(rng, factor)
    y_scale = max(y_scale, float(np.float32(x_scale / 7)))  # a rescaling stays below 8
    return graph_of(kind, [tensor(rng, "x", shape, scales=(x_scale,)),
                           tensor(rng, "y", shape, scales=(y_scale,))], attributes)


def leaky_relu(rng: np.random.Generator) -> Graph:
    alpha = float(np.float32(rng.choice([0, 0.01, 0.1, 0.3])))
    factor = max(alpha, 0.1) if rng.random() < 0.7 else 1.0
    return between_scales(rng, "LEAKY_RELU", factor, alpha=alpha)


def relu6(rng: np.random.Generator) -> Graph:
    x = tensor(rng, "x", (1, *rng.integers(1, 9, 3)))
    return graph_of("RELU6", [x, replace(x, name="y")], {})


def mean(rng: np.random.Generator) -> Graph:
    shape = (1, *rng.integers(1, 12, 3))
    line = rng.random() < 0.3  # of an image of three axes, or with an axis of 1
    if line:
        shape = [(1, *shape[2:]), (1, 1, *shape[2:]), (1, shape[1], 1, shape[3])][rng.integers(3)]
    h, w = (1, 1, *shape[1:-1])[-2:]
    x_scale, y_scale = near_tie(rng, 1 / (h * w) if rng.random() < 0.5 else 1.0)
    if rng.random() < 0.2:
        x_scale = y_scale
    y_scale = max(y_scale, float(np.float32(x_scale / 7)))
    axes = [[1, 2], [2, 1], [-2, -3], [-3, 2]][rng.integers(4)]
    if line:
        axis = 2 if shape[1] == 1 and len(shape) == 4 else 1
        axes = [axis - len(shape) if rng.random() < 0.3 else axis]
    table = Tensor(name="axes", shape=(len(axes),), dtype="int32", data=np.array(axes, np.int32))
    over = {axis % len(shape) for axis in axes}
    kept = rng.random() < 0.5
    y_shape = tuple(1 if axis in over else size for axis, size in enumerate(shape)
                    if kept or axis not in over)
    return graph_of("MEAN", [tensor(rng, "x", shape, scales=(x_scale,)), table,
                             tensor(rng, "y", y_shape, scales=(y_scale,))], {})


def padding_of(rng: np.random.Generator) -> Graph:
    pads = np.array([[0, 0], *rng.integers(0, 4, (3, 2))], np.int32)
    x = tensor(rng, "x", (1, *rng.integers(1, 6, 3)))
    table = Tensor(name="pads", shape=(4, 2), dtype="int32", data=pads)
    y = tensor(rng, "y", np.add(x.shape, pads.sum(axis=1)), scales=x.scales,
               zero_point=x.zero_point)
    return graph_of("PAD", [x, table, y], {"padding": tuple(map(tuple, pads.tolist()))})


def concatenation(rng: np.random.Generator) -> Graph:
    rest = 1, *rng.integers(1, 7, int(rng.integers(0, 3)))
    numbers = tensor(rng, "", ())
    channels = rng.integers(1, 9, rng.integers(2, 11)).tolist()
    like = {"scales": numbers.scales, "zero_point": numbers.zero_point}
    parts = [tensor(rng, f"x{n}", (*rest, count), **like) for n, count in enumerate(channels)]
    return graph_of("CONCATENATION", [*parts, tensor(rng, "y", (*rest, sum(channels)), **like)], {})


def resize(rng: np.random.Generator) -> Graph:
    x = tensor(rng, "x", (1, *rng.integers(1, 8, 3)))
    factor = tuple(rng.integers(1, 6, 2).tolist())
    sizes = np.multiply(x.shape[1:3], factor).astype(np.int32)
    table = Tensor(name="sizes", shape=(2,), dtype="int32", data=sizes)
    y = tensor(rng, "y", (1, *sizes, x.shape[3]), scales=x.scales, zero_point=x.zero_point)
    return graph_of("RESIZE_NEAREST_NEIGHBOR", [x, table, y], {"factor": factor})


def reshape(rng: np.random.Generator) -> Graph:
    x = tensor(rng, "x", (1, *rng.integers(1, 6, 3)))
    return graph_of("RESHAPE", [x, tensor(rng, "y", (1, math.prod(x.shape)), scales=x.scales,
                                          zero_point=x.zero_point)], {})


MAKERS = {"conv": conv, "depthwise": depthwise, "transposed": transposed, "dense": dense,
          "add": addition, "average pool": pool("AVERAGE_POOL_2D"), "max pool": pool("MAX_POOL_2D"),
          "concatenation": concatenation, "softmax": soft_maximum, "pad": padding_of,
          "reshape": reshape, "resize": resize, "logistic": logistic, "leaky relu": leaky_relu,
          "mean": mean, "relu": partial(between_scales, kind="RELU"), "relu6": relu6,
          "tanh": tanh, "hard swish": hard_swish,
          "requantise": partial(between_scales, kind="QUANTIZE")}
