"""Networks of the shapes that people train, with random weights."""

import math
from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from sim.golden.conv import output_size, same_padding
from sim.golden.types import Pair
from systolith.graph.ir import Graph
from systolith.zoo.random.networks import Chain

__all__ = ["SHAPES", "WAKE_WORDS", "keywords_1d", "large", "mobilenet", "tiny_conv"]

#: Blocks of MLPerf Tiny's visual wake words: an image of 96x96, a person or none.
WAKE_WORDS = ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *5 * ((128, 1),), (256, 2),
              (256, 1))


class _Shape(Chain):
    """A network of layers that are told, with SAME padding."""

    def __init__(self, rng: np.random.Generator, *shape: int) -> None:
        super().__init__(rng)
        self.tensors = []
        self.last = self.tensor((1, *shape), 0.02)

    def _window(self, kernel: Pair, stride: Pair) -> tuple[Pair, dict[str, Any]]:
        size = self.x.size
        rows, columns = map(same_padding, size, kernel, stride, (1, 1))
        padding = rows, columns
        height, width = map(output_size, size, kernel, stride, (1, 1), padding)
        return (height, width), {"stride": stride, "padding": padding, "dilation": (1, 1)}

    def conv2d(self, filters: int, kernel: Pair = (1, 1), stride: Pair = (1, 1)) -> Self:
        outputs, attributes = self._window(kernel, stride)
        self.weighted("CONV_2D", (filters, *kernel, self.x.shape[3]), 0, (1, *outputs, filters),
                      **attributes)
        return self

    def depthwise2d(self, kernel: Pair = (3, 3), stride: Pair = (1, 1),
                    multiplier: int = 1) -> Self:
        outputs, attributes = self._window(kernel, stride)
        filters = self.x.shape[3] * multiplier
        self.weighted("DEPTHWISE_CONV_2D", (1, *kernel, filters), 3, (1, *outputs, filters),
                      **attributes)
        return self

    def head(self, classes: int, pool: bool = True) -> Graph:
        if pool:
            self.pool("AVERAGE_POOL_2D", kernel=self.x.size)
        x, taps = self.x, math.prod(self.x.shape)
        self.append("RESHAPE", [self.last], (1, taps), x.scale, x.zero_point)
        self.weighted("FULLY_CONNECTED", (classes, taps), 0, (1, classes))
        self.append("SOFTMAX", [self.last], (1, classes), 1 / 256, -128, beta=1.0)
        return self.graph()


def mobilenet(rng: np.random.Generator, size: Pair = (96, 96),
              blocks: Iterable[tuple[int, int]] = WAKE_WORDS) -> Graph:
    """MobileNetV1 with a quarter of its channels: ``blocks`` of channels and stride."""
    net = _Shape(rng, *size, 3).conv2d(8, (3, 3), (2, 2))
    for channels, stride in blocks:
        net.depthwise2d(stride=(stride, stride)).conv2d(channels)
    return net.head(2)


def keywords_1d(rng: np.random.Generator, length: int = 490) -> Graph:
    """Along the time axis alone, kernels of kx1."""
    net = _Shape(rng, length, 1, 1).conv2d(32, (10, 1), (2, 1)).depthwise2d((9, 1))
    return net.conv2d(32).depthwise2d((9, 1), (2, 1)).conv2d(48).conv2d(48, (5, 1), (3, 1)).head(12)


def large(rng: np.random.Generator, size: int = 8) -> Graph:
    """470 000 weights in convolutions of many channels."""
    net = _Shape(rng, size, size, 16).conv2d(64, (3, 3)).conv2d(128, (3, 3), (2, 2))
    return net.conv2d(256, (3, 3)).conv2d(256, (1, 1)).conv2d(96, (1, 1)).head(10)


def tiny_conv(rng: np.random.Generator) -> Graph:
    """A spectrogram that comes as one line, 8 filters of 10x8 on its only channel, and a layer on
    all of that."""
    net = _Shape(rng, 1960)
    net.append("RESHAPE", [net.last], (1, 49, 40, 1), net.x.scale, net.x.zero_point)
    return net.depthwise2d((10, 8), (2, 2), 8).head(4, pool=False)


def _autoencoder(rng: np.random.Generator) -> Graph:
    from systolith.zoo.random.networks import autoencoder

    return autoencoder(rng, (640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640))


#: By name; each takes a generator of random numbers.
SHAPES = {"mobilenet": mobilenet,
          "mobilenet of odd size": lambda rng: mobilenet(rng, (57, 43), WAKE_WORDS[:6]),
          "autoencoder": _autoencoder, "keywords 1d": keywords_1d, "large": large,
          "tiny conv": tiny_conv}
