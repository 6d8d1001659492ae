"""The network in floating point, with gradients.

Each layer is one operator of the int8 network and bears its name as ``kind``. Tensors are
(n, h, w, c) as in TensorFlow Lite, ``weights`` have its layouts, and the dtype is that of the
parameters.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from sim.golden.conv import output_size, same_padding
from sim.golden.types import Pair

__all__ = ["Add", "AveragePool", "Convolution", "Dense", "Depthwise", "Flatten", "Layer", "Network",
           "Parameters", "Softmax", "digits_network"]

#: Of a layer, or their gradients, by name.
Parameters = dict[str, np.ndarray]
#: Of a layer's inputs, and of its parameters.
Gradients = tuple[tuple[np.ndarray, ...], Parameters]


def _places(size: Pair, kernel: Pair,
            stride: int) -> tuple[list[tuple[slice, ...]], tuple[Pair, ...]]:
    """For each tap of the kernel, where its inputs lie in an image padded as SAME does; and that
    padding."""
    padding = tuple(same_padding(n, k, stride) for n, k in zip(size, kernel, strict=True))
    counts = [output_size(n, k, stride, 1, p)
              for n, k, p in zip(size, kernel, padding, strict=True)]
    return [tuple(slice(start, start + (count - 1) * stride + 1, stride)
                  for start, count in zip(tap, counts, strict=True))
            for tap in np.ndindex(*kernel)], padding


def _gather(x: np.ndarray, kernel: Pair, stride: int) -> np.ndarray:
    """Patches (n, oh, ow, kh * kw, c) of ``x``."""
    places, padding = _places(x.shape[1:3], kernel, stride)
    x = np.pad(x, ((0, 0), *padding, (0, 0)))
    return np.stack([x[:, rows, columns] for rows, columns in places], axis=3)


def _scatter(patches: np.ndarray, size: Pair, kernel: Pair, stride: int) -> np.ndarray:
    """The transpose of :func:`_gather`: sums (n, h, w, c) of ``patches`` over an image of
    ``size``."""
    places, padding = _places(size, kernel, stride)
    (top, bottom), (left, right) = padding
    x = np.zeros((len(patches), size[0] + top + bottom, size[1] + left + right,
                  patches.shape[-1]), patches.dtype)
    for tap, (rows, columns) in enumerate(places):
        x[:, rows, columns] += patches[:, :, :, tap]
    return x[:, top:top + size[0], left:left + size[1]]


class Layer:
    """``forward(*inputs)`` gives the result; ``backward(gradient, y, *inputs)`` the gradients of
    the inputs, and those of ``parameters`` by name."""

    kind: str
    parameters: Parameters = {}
    relu = False
    forward: Callable[..., np.ndarray]
    backward: Callable[..., Gradients]

    def _activate(self, y: np.ndarray) -> np.ndarray:
        return np.maximum(y, 0) if self.relu else y

    def _through(self, gradient: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.where(y > 0, gradient, 0) if self.relu else gradient


class _Weighted(Layer):
    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...], channels: int,
                 taps: int) -> None:
        deviation = math.sqrt(2 / taps)  # keeps the variance through a rectifier
        self.parameters = {"weights": rng.normal(0, deviation, shape).astype(np.float32),
                           "bias": np.zeros(channels, np.float32)}


class Convolution(_Weighted):
    """``weights`` (cout, kh, kw, cin), padding SAME."""

    kind = "CONV_2D"

    def __init__(self, rng: np.random.Generator, cin: int, cout: int, kernel: int, stride: int = 1,
                 relu: bool = True) -> None:
        self.kernel, self.stride, self.relu = (kernel, kernel), stride, relu
        super().__init__(rng, (cout, kernel, kernel, cin), cout, kernel * kernel * cin)

    def _operands(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        patches = _gather(x, self.kernel, self.stride)
        weights = self.parameters["weights"]
        matrix = weights.reshape(len(weights), -1)
        return patches, patches.reshape(*patches.shape[:3], -1), matrix

    def forward(self, x: np.ndarray) -> np.ndarray:
        _, vectors, matrix = self._operands(x)
        return self._activate(vectors @ matrix.T + self.parameters["bias"])

    def backward(self, gradient: np.ndarray, y: np.ndarray, x: np.ndarray) -> Gradients:
        gradient = self._through(gradient, y)
        patches, vectors, matrix = self._operands(x)
        flat = gradient.reshape(-1, len(matrix))
        weights = flat.T @ vectors.reshape(len(flat), -1)
        back = (gradient @ matrix).reshape(patches.shape)
        return (_scatter(back, x.shape[1:3], self.kernel, self.stride),), {
            "weights": weights.reshape(self.parameters["weights"].shape), "bias": flat.sum(axis=0)}


class Depthwise(_Weighted):
    """``weights`` (1, kh, kw, c), padding SAME, stride 1."""

    kind = "DEPTHWISE_CONV_2D"
    stride = 1

    def __init__(self, rng: np.random.Generator, channels: int, kernel: int,
                 relu: bool = True) -> None:
        self.kernel, self.relu = (kernel, kernel), relu
        super().__init__(rng, (1, kernel, kernel, channels), channels, kernel * kernel)

    def _operands(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weights = self.parameters["weights"]
        return _gather(x, self.kernel, 1), weights.reshape(-1, weights.shape[-1])

    def forward(self, x: np.ndarray) -> np.ndarray:
        patches, taps = self._operands(x)
        return self._activate((patches * taps).sum(axis=3) + self.parameters["bias"])

    def backward(self, gradient: np.ndarray, y: np.ndarray, x: np.ndarray) -> Gradients:
        gradient = self._through(gradient, y)
        patches, taps = self._operands(x)
        spread = gradient[:, :, :, None]
        weights = (patches * spread).sum(axis=(0, 1, 2))
        return (_scatter(spread * taps, x.shape[1:3], self.kernel, 1),), {
            "weights": weights.reshape(self.parameters["weights"].shape),
            "bias": gradient.sum(axis=(0, 1, 2))}


class Add(Layer):
    kind = "ADD"
    relu = True

    def forward(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return self._activate(a + b)

    def backward(self, gradient: np.ndarray, y: np.ndarray, a: np.ndarray,
                 b: np.ndarray) -> Gradients:
        gradient = self._through(gradient, y)
        return (gradient, gradient), {}


class AveragePool(Layer):
    """Mean over the whole image: (n, 1, 1, c)."""

    kind = "AVERAGE_POOL_2D"

    def forward(self, x: np.ndarray) -> np.ndarray:
        return x.mean(axis=(1, 2), keepdims=True)

    def backward(self, gradient: np.ndarray, y: np.ndarray, x: np.ndarray) -> Gradients:
        return (np.broadcast_to(gradient / (x.shape[1] * x.shape[2]), x.shape),), {}


class Flatten(Layer):
    kind = "RESHAPE"

    def forward(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), -1)

    def backward(self, gradient: np.ndarray, y: np.ndarray, x: np.ndarray) -> Gradients:
        return (gradient.reshape(x.shape),), {}


class Dense(_Weighted):
    """``weights`` (cout, cin)."""

    kind = "FULLY_CONNECTED"

    def __init__(self, rng: np.random.Generator, cin: int, cout: int) -> None:
        super().__init__(rng, (cout, cin), cout, cin)

    def forward(self, x: np.ndarray) -> np.ndarray:
        return x @ self.parameters["weights"].T + self.parameters["bias"]

    def backward(self, gradient: np.ndarray, y: np.ndarray, x: np.ndarray) -> Gradients:
        return (gradient @ self.parameters["weights"],), {
            "weights": gradient.T @ x, "bias": gradient.sum(axis=0)}


class Softmax(Layer):
    kind = "SOFTMAX"

    def forward(self, x: np.ndarray) -> np.ndarray:
        powers = np.exp(x - x.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def backward(self, gradient: np.ndarray, y: np.ndarray, x: np.ndarray) -> Gradients:
        return (y * (gradient - (gradient * y).sum(axis=1, keepdims=True)),), {}


class Network:
    """Layers in order, each with the indices of its inputs: value 0 is the image, value ``k + 1``
    the result of layer ``k``."""

    def __init__(self, *layers: tuple[Layer, list[int]]) -> None:
        self.layers = layers

    def forward(self, images: np.ndarray) -> list[np.ndarray]:
        """All values, from real ``images`` (n, h, w, c)."""
        values = [images]
        for layer, inputs in self.layers:
            values.append(layer.forward(*(values[index] for index in inputs)))
        return values

    def backward(self, values: Sequence[np.ndarray], gradient: np.ndarray) -> list[Parameters]:
        """Gradients of each layer's parameters, by name, from that of the last value."""
        gradients, parameters = {len(self.layers): gradient}, {}
        for number in reversed(range(len(self.layers))):
            layer, inputs = self.layers[number]
            parts, parameters[number] = layer.backward(
                gradients.pop(number + 1), values[number + 1], *(values[i] for i in inputs))
            for index, part in zip(inputs, parts, strict=True):
                gradients[index] = gradients[index] + part if index in gradients else part
        return [parameters[number] for number in range(len(self.layers))]

    def loss(self, images: np.ndarray,
             labels: npt.NDArray[np.int64]) -> tuple[float, list[Parameters]]:
        """Mean cross entropy, and the gradients of each layer's parameters."""
        values = self.forward(images)
        chosen = values[-1][np.arange(len(labels)), labels]
        gradient = np.zeros_like(values[-1])
        gradient[np.arange(len(labels)), labels] = -1 / (chosen * len(labels))
        return -np.log(chosen).mean(), self.backward(values, gradient)


def digits_network(rng: np.random.Generator) -> Network:
    """A residual network for (n, 8, 8, 1) images and ten classes, with random weights."""
    return Network(
        (Convolution(rng, 1, 16, 3), [0]),
        (Convolution(rng, 16, 32, 3, stride=2), [1]),
        (Depthwise(rng, 32, 3), [2]),
        (Convolution(rng, 32, 32, 1, relu=False), [3]),
        (Add(), [4, 2]),
        (AveragePool(), [5]),
        (Flatten(), [6]),
        (Dense(rng, 32, 10), [7]),
        (Softmax(), [8]))
