"""The network in floating point, with gradients.

Each layer is one operator of the int8 network and bears its name as ``kind``. Tensors are
(n, h, w, c) as in TensorFlow Lite, ``weights`` have its layouts, and the dtype is that of the
parameters.
"""

import math

import numpy as np

from sim.golden.conv import output_size, same_padding

__all__ = ["Add", "AveragePool", "Convolution", "Dense", "Depthwise", "Flatten", "Network",
           "Softmax", "digits_network"]


def _places(size, kernel, stride):
    """For each tap of the kernel, where its inputs lie in an image padded as SAME does; and that
    padding."""
    padding = tuple(same_padding(n, k, stride) for n, k in zip(size, kernel, strict=True))
    counts = [output_size(n, k, stride, 1, p)
              for n, k, p in zip(size, kernel, padding, strict=True)]
    return [tuple(slice(start, start + (count - 1) * stride + 1, stride)
                  for start, count in zip(tap, counts, strict=True))
            for tap in np.ndindex(*kernel)], padding


def _gather(x, kernel, stride):
    """Patches (n, oh, ow, kh * kw, c) of ``x``."""
    places, padding = _places(x.shape[1:3], kernel, stride)
    x = np.pad(x, ((0, 0), *padding, (0, 0)))
    return np.stack([x[:, rows, columns] for rows, columns in places], axis=3)


def _scatter(patches, size, kernel, stride):
    """The transpose of :func:`_gather`: sums (n, h, w, c) of ``patches`` over an image of
    ``size``."""
    places, padding = _places(size, kernel, stride)
    (top, bottom), (left, right) = padding
    x = np.zeros((len(patches), size[0] + top + bottom, size[1] + left + right,
                  patches.shape[-1]), patches.dtype)
    for tap, (rows, columns) in enumerate(places):
        x[:, rows, columns] += patches[:, :, :, tap]
    return x[:, top:top + size[0], left:left + size[1]]


class _Layer:
    """``forward(*inputs)`` gives the result; ``backward(gradient, y, *inputs)`` the gradients of
    the inputs, and those of ``parameters`` by name."""

    parameters = {}
    relu = False

    def _activate(self, y):
        return np.maximum(y, 0) if self.relu else y

    def _through(self, gradient, y):
        return np.where(y > 0, gradient, 0) if self.relu else gradient


class _Weighted(_Layer):
    def __init__(self, rng, shape, channels, taps):
        deviation = math.sqrt(2 / taps)  # keeps the variance through a rectifier
        self.parameters = {"weights": rng.normal(0, deviation, shape).astype(np.float32),
                           "bias": np.zeros(channels, np.float32)}


class Convolution(_Weighted):
    """``weights`` (cout, kh, kw, cin), padding SAME."""

    kind = "CONV_2D"

    def __init__(self, rng, cin, cout, kernel, stride=1, relu=True):
        self.kernel, self.stride, self.relu = (kernel, kernel), stride, relu
        super().__init__(rng, (cout, kernel, kernel, cin), cout, kernel * kernel * cin)

    def _operands(self, x):
        patches = _gather(x, self.kernel, self.stride)
        weights = self.parameters["weights"]
        matrix = weights.reshape(len(weights), -1)
        return patches, patches.reshape(*patches.shape[:3], -1), matrix

    def forward(self, x):
        _, vectors, matrix = self._operands(x)
        return self._activate(vectors @ matrix.T + self.parameters["bias"])

    def backward(self, gradient, y, x):
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

    def __init__(self, rng, channels, kernel, relu=True):
        self.kernel, self.relu = (kernel, kernel), relu
        super().__init__(rng, (1, kernel, kernel, channels), channels, kernel * kernel)

    def _operands(self, x):
        weights = self.parameters["weights"]
        return _gather(x, self.kernel, 1), weights.reshape(-1, weights.shape[-1])

    def forward(self, x):
        patches, taps = self._operands(x)
        return self._activate((patches * taps).sum(axis=3) + self.parameters["bias"])

    def backward(self, gradient, y, x):
        gradient = self._through(gradient, y)
        patches, taps = self._operands(x)
        spread = gradient[:, :, :, None]
        weights = (patches * spread).sum(axis=(0, 1, 2))
        return (_scatter(spread * taps, x.shape[1:3], self.kernel, 1),), {
            "weights": weights.reshape(self.parameters["weights"].shape),
            "bias": gradient.sum(axis=(0, 1, 2))}


class Add(_Layer):
    kind = "ADD"
    relu = True

    def forward(self, a, b):
        return self._activate(a + b)

    def backward(self, gradient, y, a, b):
        gradient = self._through(gradient, y)
        return (gradient, gradient), {}


class AveragePool(_Layer):
    """Mean over the whole image: (n, 1, 1, c)."""

    kind = "AVERAGE_POOL_2D"

    def forward(self, x):
        return x.mean(axis=(1, 2), keepdims=True)

    def backward(self, gradient, y, x):
        return (np.broadcast_to(gradient / (x.shape[1] * x.shape[2]), x.shape),), {}


class Flatten(_Layer):
    kind = "RESHAPE"

    def forward(self, x):
        return x.reshape(len(x), -1)

    def backward(self, gradient, y, x):
        return (gradient.reshape(x.shape),), {}


class Dense(_Weighted):
    """``weights`` (cout, cin)."""

    kind = "FULLY_CONNECTED"

    def __init__(self, rng, cin, cout):
        super().__init__(rng, (cout, cin), cout, cin)

    def forward(self, x):
        return x @ self.parameters["weights"].T + self.parameters["bias"]

    def backward(self, gradient, y, x):
        return (gradient @ self.parameters["weights"],), {
            "weights": gradient.T @ x, "bias": gradient.sum(axis=0)}


class Softmax(_Layer):
    kind = "SOFTMAX"

    def forward(self, x):
        powers = np.exp(x - x.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def backward(self, gradient, y, x):
        return (y * (gradient - (gradient * y).sum(axis=1, keepdims=True)),), {}


class Network:
    """Layers in order, each with the indices of its inputs: value 0 is the image, value ``k + 1``
    the result of layer ``k``."""

    def __init__(self, *layers):
        self.layers = layers

    def forward(self, images):
        """All values, from real ``images`` (n, h, w, c)."""
        values = [images]
        for layer, inputs in self.layers:
            values.append(layer.forward(*(values[index] for index in inputs)))
        return values

    def backward(self, values, gradient):
        """Gradients of each layer's parameters, by name, from that of the last value."""
        gradients, parameters = {len(self.layers): gradient}, {}
        for number in reversed(range(len(self.layers))):
            layer, inputs = self.layers[number]
            parts, parameters[number] = layer.backward(
                gradients.pop(number + 1), values[number + 1], *(values[i] for i in inputs))
            for index, part in zip(inputs, parts, strict=True):
                gradients[index] = gradients[index] + part if index in gradients else part
        return [parameters[number] for number in range(len(self.layers))]

    def loss(self, images, labels):
        """Mean cross entropy, and the gradients of each layer's parameters."""
        values = self.forward(images)
        chosen = values[-1][np.arange(len(labels)), labels]
        gradient = np.zeros_like(values[-1])
        gradient[np.arange(len(labels)), labels] = -1 / (chosen * len(labels))
        return -np.log(chosen).mean(), self.backward(values, gradient)


def digits_network(rng):
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
