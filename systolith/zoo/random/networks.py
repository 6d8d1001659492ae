"""Random networks of random operators."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sim.golden.conv import output_size, same_padding
from sim.golden.types import Pair
from systolith.graph.ir import Graph, Operator, Tensor, make_operator
from systolith.zoo.random.movements import DRAWS

__all__ = ["Chain", "autoencoder", "moving", "network", "residual", "with_zeros"]


class Chain:
    """A network that grows at its end by random operators."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        size = rng.integers(1, 13, 2).tolist()
        self.last = self.tensor((1, *size, int(rng.integers(1, 9))), self.scale(0.005, 0.1))

    @property
    def x(self) -> Tensor:
        return self.tensors[self.last]

    def integer(self, low: int, high: int) -> int:
        """Between ``low`` and ``high``, both included."""
        return int(self.rng.integers(low, high + 1))

    def scale(self, low: float, high: float) -> float:
        return float(np.float32(math.exp(self.rng.uniform(math.log(low), math.log(high)))))

    def activation(self) -> str:
        return str(self.rng.choice(["NONE", "NONE", "RELU", "RELU6", "RELU_N1_TO_1"]))

    def tensor(self, shape: tuple[int, ...], scale: float, zero_point: int | None = None) -> int:
        """Index of a new activation."""
        if zero_point is None:
            zero_point = int(self.rng.choice([-128, 127, self.integer(-128, 127)]))
        self.tensors.append(Tensor(name=f"t{len(self.tensors)}", shape=shape,
                                   scales=(float(np.float32(scale)),), zero_point=zero_point))
        return len(self.tensors) - 1

    def constant(self, data: np.ndarray, scales: Iterable[float], axis: int = 0) -> int:
        self.tensors.append(Tensor(name=f"c{len(self.tensors)}", shape=data.shape, data=data,
                                   dtype=data.dtype.name, scales=tuple(scales), axis=axis))
        return len(self.tensors) - 1

    def append(self, kind: str, inputs: Iterable[int], shape: tuple[int, ...], scale: float,
               zero_point: int | None = None, **attributes: Any) -> None:
        self.last = self.tensor(shape, scale, zero_point)
        self.operators.append(make_operator(kind=kind, inputs=tuple(inputs), outputs=(self.last,),
                                            attributes=attributes, index=len(self.operators)))

    def weighted(self, kind: str, shape: tuple[int, ...], axis: int, result: tuple[int, ...],
                 **attributes: Any) -> None:
        """A layer with weights of ``shape``, whose results spread over int8 or so."""
        x, start, channels, taps = self.x, self.last, shape[axis], math.prod(shape) // shape[axis]
        count = channels if self.rng.random() < 0.8 else 1
        if kind == "FULLY_CONNECTED":
            count = 1
        scales = [self.scale(0.002, 0.02) for _ in range(count)]
        reach = 64 * 127 * math.sqrt(taps)
        inputs = [start, self.constant(
            self.rng.integers(-127, 128, shape).astype(np.int8), scales, axis)]
        if self.rng.random() < 0.8:
            bias = self.rng.integers(-int(reach), int(reach) + 1, channels).astype(np.int32)
            inputs.append(self.constant(bias, [float(np.float32(x.scale * s)) for s in scales]))
        if kind == "TRANSPOSE_CONV":
            inputs = [self.constant(np.array(result, np.int32), ()), inputs[1], start, *inputs[2:]]
        self.append(kind, inputs, result,
                    x.scale * float(np.mean(scales)) * reach / 100 * self.scale(0.5, 4),
                    activation=self.activation(), **attributes)

    def window(self, largest: int = 4,
               dilated: bool = True) -> tuple[Pair, Pair, dict[str, Any], dict[str, Pair]]:
        """Kernel, output size and attributes of a window that fits."""
        size, rng = self.x.size, self.rng
        same = rng.random() < 0.6
        stride = tuple(rng.integers(1, 4, 2).tolist())
        dilation = tuple(rng.integers(1, 3, 2).tolist()) if dilated else (1, 1)
        most = [largest if same else min(largest, (n - 1) // d + 1)
                for n, d in zip(size, dilation, strict=True)]
        kh, kw = (self.integer(1, k) for k in most)
        rows, columns = (0, 0), (0, 0)
        if same:
            rows, columns = map(same_padding, size, (kh, kw), stride, dilation)
        padding = rows, columns
        height, width = map(output_size, size, (kh, kw), stride, dilation, padding)
        return (kh, kw), (height, width), {"stride": stride, "padding": padding}, {
            "dilation": dilation}

    def conv(self) -> None:
        kernel, outputs, attributes, dilation = self.window()
        channels = self.x.shape[3]
        groups = int(self.rng.choice([n for n in range(1, channels + 1) if channels % n == 0]))
        filters = groups * self.integer(1, max(1, 12 // groups))
        self.weighted("CONV_2D", (filters, *kernel, channels // groups), 0,
                      (1, *outputs, filters), **attributes, **dilation)

    def depthwise(self) -> None:
        kernel, outputs, attributes, dilation = self.window()
        filters = self.x.shape[3] * self.integer(1, 2)
        self.weighted("DEPTHWISE_CONV_2D", (1, *kernel, filters), 3, (1, *outputs, filters),
                      **attributes, **dilation)

    def transpose_conv(self) -> None:
        """Of a convolution whose last step may leave some lines and columns out."""
        rng, size = self.rng, self.x.shape[1:3]
        kernel, stride = (tuple(rng.integers(1, 4, 2).tolist()) for _ in range(2))
        left_out = tuple(self.integer(0, s - 1) for s in stride)
        if rng.random() < 0.6:
            outputs = tuple(n * s - r for n, s, r in zip(size, stride, left_out, strict=True))
            padding = tuple(map(same_padding, outputs, kernel, stride))
        else:
            outputs = tuple((n - 1) * s + k + r
                            for n, k, s, r in zip(size, kernel, stride, left_out, strict=True))
            padding = ((0, 0), (0, 0))
        filters = self.integer(1, 8)
        self.weighted("TRANSPOSE_CONV", (filters, *kernel, self.x.shape[3]), 0,
                      (1, *outputs, filters), stride=stride, padding=padding)

    def pool(self, kind: str, kernel: Pair | None = None, same: bool = False) -> None:
        """Over any window, or over one of ``kernel`` with or without the padding of SAME."""
        x, padding = self.x, ((0, 0), (0, 0))
        if kernel is None:
            kernel, outputs, attributes, _ = self.window(dilated=False)
        else:
            if same:
                padding = tuple(map(same_padding, x.shape[1:3], kernel, (1, 1)))
            outputs = tuple(map(output_size, x.shape[1:3], kernel, (1, 1), (1, 1), padding))
            attributes = {"stride": (1, 1), "padding": padding}
        self.append(kind, [self.last], (1, *outputs, x.shape[3]), x.scale, x.zero_point,
                    kernel=kernel, activation=self.activation(), **attributes)

    def average_pool(self) -> None:
        self.pool("AVERAGE_POOL_2D")

    def max_pool(self) -> None:
        self.pool("MAX_POOL_2D")

    def add(self) -> None:
        """With any activation before it that has the same shape, itself included."""
        alike = [n for n, tensor in enumerate(self.tensors)
                 if tensor.data is None and tensor.shape == self.x.shape]
        other = int(self.rng.choice(alike))
        scale = max(self.x.scale, self.tensors[other].scale) * self.scale(0.5, 4)
        inputs = self.rng.permutation([self.last, other]).tolist()
        self.append("ADD", inputs, self.x.shape, scale, activation=self.activation())

    def concatenate(self) -> None:
        """With pools of it, which keep scale and zero point, or with itself."""
        start, parts = self.last, [self.last]
        for _ in range(self.integer(1, 3)):
            self.last = start
            if self.rng.random() < 0.8:
                self.pool(str(self.rng.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"])),
                          kernel=(self.integer(1, 4), self.integer(1, 4)), same=True)
            parts.append(self.last)
        x = self.x
        self.append("CONCATENATION", self.rng.permutation(parts).tolist(),
                    (*x.shape[:3], x.shape[3] * len(parts)), x.scale, x.zero_point)

    def pad(self) -> None:
        pads = np.array([[0, 0], *self.rng.integers(0, 3, (2, 2)), [0, 0]], np.int32)
        x, start = self.x, self.last
        shape = tuple((np.array(x.shape) + pads.sum(axis=1)).tolist())
        self.append("PAD", [start, self.constant(pads, ())], shape, x.scale, x.zero_point,
                    padding=tuple(map(tuple, pads.tolist())))

    def move(self) -> None:
        """Its elements elsewhere, or several times, or some of them."""
        x, start = self.x, self.last
        kind, tables, attributes = self.rng.choice(np.array(DRAWS, object))(self.rng, x)
        constants = [self.constant(each.numbers, ()) for each in tables]
        self.last = self.tensor(x.shape, x.scale, x.zero_point)
        operator = make_operator(kind, [start, *constants], [self.last], attributes,
                                 len(self.operators))
        shape = operator.record.shape(self.graph(), operator)
        self.tensors[self.last] = replace(self.x, shape=shape)
        self.operators.append(operator)

    def join(self) -> None:
        """Along lines or pixels: with what moves make of it, as far as that fits, and with pools of
        it."""
        axis, start, parts = self.integer(1, 2), self.last, [self.last]
        for step in [self.move, self.max_pool, self.move]:
            self.last = start
            step()
            fits = [a == b for a, b in zip(self.x.shape, self.tensors[start].shape, strict=True)]
            if all(same for at, same in enumerate(fits) if at != axis) and (
                    self.x.scale == self.tensors[start].scale):
                parts.append(self.last)
        sizes = [self.tensors[part].shape[axis] for part in parts]
        x = self.tensors[start]
        self.append("CONCATENATION", self.rng.permutation(parts).tolist(),
                    (*x.shape[:axis], sum(sizes), *x.shape[axis + 1:]), x.scale, x.zero_point,
                    axis=axis)

    def resize(self) -> None:
        x, start = self.x, self.last
        factor = tuple(self.rng.integers(1, 4, 2).tolist())
        sizes = np.multiply(x.shape[1:3], factor).astype(np.int32)
        self.append("RESIZE_NEAREST_NEIGHBOR", [start, self.constant(sizes, ())],
                    (1, *sizes.tolist(), x.shape[3]), x.scale, x.zero_point, factor=factor)

    def logistic(self) -> None:
        self.append("LOGISTIC", [self.last], self.x.shape, 1 / 256, -128)

    def leaky_relu(self) -> None:
        self.append("LEAKY_RELU", [self.last], self.x.shape, self.x.scale * self.scale(0.5, 2),
                    alpha=float(np.float32(self.rng.uniform(0, 1))))

    def relu(self) -> None:
        kind = str(self.rng.choice(["RELU", "QUANTIZE"]))
        self.append(kind, [self.last], self.x.shape, self.x.scale * self.scale(0.3, 2))

    def relu6(self) -> None:
        self.append("RELU6", [self.last], self.x.shape, self.x.scale, self.x.zero_point)

    def tanh(self) -> None:
        self.append("TANH", [self.last], self.x.shape, 1 / 128, 0)

    def hard_swish(self) -> None:
        self.append("HARD_SWISH", [self.last], self.x.shape, self.x.scale * self.scale(0.3, 2))

    def softmax(self) -> None:
        self.append("SOFTMAX", [self.last], self.x.shape, 1 / 256, -128, beta=1.0)

    def reshape(self) -> None:
        """To other lines, pixels and channels."""
        x, left = self.x, math.prod(self.x.shape)
        channels = int(self.rng.choice([n for n in range(1, 25) if left % n == 0]))
        left //= channels
        width = max(n for n in range(1, 25) if left % n == 0)
        if left // width <= 256:
            self.append("RESHAPE", [self.last], (1, left // width, width, channels), x.scale,
                        x.zero_point)

    def mean(self) -> None:
        x, start = self.x, self.last
        kept = (1, 1) if self.rng.random() < 0.5 else ()
        axes = self.constant(np.array([1, 2], np.int32), ())
        self.append("MEAN", [start, axes], (1, *kept, x.shape[3]), x.scale * self.scale(0.2, 1))

    def classify(self) -> None:
        """What networks end with."""
        match self.integer(0, 3):
            case 0:
                self.pool("AVERAGE_POOL_2D", kernel=self.x.size)
            case 1:
                self.mean()
        x = self.x
        self.append("RESHAPE", [self.last], (1, math.prod(x.shape)), x.scale, x.zero_point)
        classes = self.integer(2, 12)
        self.weighted("FULLY_CONNECTED", (classes, math.prod(x.shape)), 0, (1, classes))
        self.append("SOFTMAX", [self.last], (1, classes), 1 / 256, -128, beta=1.0)

    def graph(self) -> Graph:
        return Graph(tensors=tuple(self.tensors), operators=tuple(self.operators), inputs=(0,),
                     outputs=(self.last,))


def network(rng: np.random.Generator) -> Graph:
    chain = Chain(rng)
    steps = [chain.conv, chain.conv, chain.depthwise, chain.add, chain.average_pool,
             chain.max_pool, chain.pad, chain.logistic, chain.leaky_relu, chain.relu,
             chain.relu6, chain.tanh, chain.hard_swish, chain.reshape, chain.softmax]
    growing = [chain.transpose_conv, chain.concatenate, chain.resize]
    for _ in range(chain.integer(1, 6)):
        choice = steps + growing if math.prod(chain.x.shape) < 4096 else steps
        choice[rng.integers(len(choice))]()
    if rng.random() < 0.6:
        chain.classify()
    return chain.graph()


def moving(rng: np.random.Generator) -> Graph:
    """Movements between other operators."""
    chain = Chain(rng)
    for _ in range(chain.integer(2, 5)):
        steps = [chain.conv, chain.depthwise, chain.add, chain.average_pool, chain.pad,
                 chain.logistic, chain.reshape, chain.concatenate, chain.join, chain.move]
        for step in (chain.rng.choice(np.array(steps, object)), chain.move):
            if math.prod(chain.x.shape) < 1024:
                step()
    if rng.random() < 0.3:
        chain.classify()
    return chain.graph()


def autoencoder(rng: np.random.Generator, sizes: Sequence[int]) -> Graph:
    """Fully connected layers with ReLUs, of ``sizes`` numbers each."""
    chain = Chain(rng)
    chain.tensors, chain.operators = [], []
    chain.last = chain.tensor((1, sizes[0]), 0.05)
    for size in sizes[1:]:
        chain.weighted("FULLY_CONNECTED", (size, chain.x.shape[1]), 0, (1, size))
    return chain.graph()


def with_zeros(graph: Graph, rng: np.random.Generator, share: float = 0.5) -> Graph:
    """``graph`` with some output channels of its layers without weights."""
    tensors = list(graph.tensors)
    for op in graph.operators:
        if op.kind not in {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}:
            continue
        axis = 3 if op.kind == "DEPTHWISE_CONV_2D" else 0
        weights = tensors[op.inputs[1]]
        data = np.moveaxis(np.array(weights.data), axis, 0)
        data[rng.random(len(data)) < share] = 0
        tensors[op.inputs[1]] = replace(weights, data=np.moveaxis(data, 0, axis))
    return replace(graph, tensors=tuple(tensors))


def residual(rng: np.random.Generator) -> Graph:
    """Convolutions whose results are added to what was there before, whatever their scales."""
    chain = Chain(rng)
    chain.tensors = []
    channels = chain.integer(1, 20)
    chain.last = chain.tensor((1, *rng.integers(1, 10, 2).tolist(), channels), 0.05)
    for _ in range(chain.integer(1, 3)):
        start, shape, stride = chain.last, chain.x.shape, (1, 1)
        filters = chain.integer(1, 20) if rng.random() < 0.5 else shape[3]
        if filters != shape[3]:
            stride = tuple(rng.integers(1, 3, 2).tolist())
        other = _same(chain, "CONV_2D", filters, 1, stride) if filters != shape[3] else start
        chain.last = start
        kind = "DEPTHWISE_CONV_2D" if filters == shape[3] and rng.random() < 0.3 else "CONV_2D"
        if rng.random() < 0.5:
            _same(chain, "CONV_2D", shape[3], 1, (1, 1))
        last = _same(chain, kind, filters, 3, stride)
        # The one operand's scale may be the larger one, or the other's.
        factor = chain.scale(0.2, 5) * chain.tensors[other].scale / chain.x.scale
        for tensor in (chain.operators[-1].inputs[1], last):
            chain.tensors[tensor] = replace(chain.tensors[tensor], scales=tuple(
                float(np.float32(scale * factor)) for scale in chain.tensors[tensor].scales))
        chain.append("ADD", rng.permutation([other, last]).tolist(), chain.x.shape,
                     max(chain.x.scale, chain.tensors[other].scale) * chain.scale(0.5, 2),
                     chain.integer(-60, 60), activation=str(rng.choice(["NONE", "RELU"])))
    return chain.graph()


def _same(chain: Chain, kind: str, filters: int, kernel: int, stride: Pair) -> int:
    """A convolution with the padding of SAME, few of whose results are clamped."""
    _, *size, channels = chain.x.shape
    padding = tuple(same_padding(n, kernel, s) for n, s in zip(size, stride, strict=True))
    result = (1, *(-(-n // s) for n, s in zip(size, stride, strict=True)), filters)
    shape, axis = ((filters, kernel, kernel, channels), 0) if kind == "CONV_2D" else (
        (1, kernel, kernel, filters), 3)
    chain.weighted(kind, shape, axis, result, stride=stride, dilation=(1, 1), padding=padding)
    chain.tensors[chain.last] = replace(chain.x, zero_point=chain.integer(-60, 60))
    last = chain.operators[-1]
    chain.operators[-1] = replace(last, attributes=replace(
        last.attributes, activation=str(chain.rng.choice(["NONE", "NONE", "RELU"]))))
    return chain.last
