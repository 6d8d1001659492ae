"""Random networks in .onnx files, in both forms."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnx.helper import make_tensor_value_info, np_dtype_to_tensor_dtype

__all__ = ["FORMS", "MOVING", "OnnxChain", "onnx_network"]

#: On integers, or on floats between QuantizeLinear and DequantizeLinear.
FORMS = "qlinear", "qdq"

MICROSOFT = "com.microsoft"

Shape = tuple[int, ...]
#: A zero point, of the type of its numbers.
Zero = np.integer
Real = float | np.floating


class OnnxChain:
    """A network that grows at its end by random operators, of one of :data:`FORMS`."""

    def __init__(self, rng: np.random.Generator, form: str, dtype: str,
                 shape: Shape | None = None) -> None:
        self.rng, self.form = rng, form
        self.dtype = np.dtype(dtype)
        self.limits = np.iinfo(self.dtype)
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.count = 0
        shape = shape or (1, int(rng.integers(1, 9)), *rng.integers(1, 13, 2).tolist())
        self.known: dict[str, tuple[Shape, np.float32, Zero]] = {}  # by name
        self.input = "x" if form == "qdq" else "x0"
        self.known["x0"] = (shape, *self.quantisation(0.005, 0.1))
        self.last = "x0"
        self.shape_in = shape
        if form == "qdq":
            self.node("QuantizeLinear", ["x", *self.pair("x0")], output="x0")
        self.x = self.last

    @property
    def shape(self) -> Shape:
        return self.known[self.last][0]

    @property
    def scale(self) -> np.float32:
        return self.known[self.last][1]

    def integer(self, low: int, high: int) -> int:
        """Between ``low`` and ``high``, both included."""
        return int(self.rng.integers(low, high + 1))

    def spread(self, low: Real, high: Real) -> np.float32:
        if self.rng.random() < 0.3:
            return np.float32(2.0 ** round(math.log2(math.sqrt(low * high))))
        return np.float32(math.exp(self.rng.uniform(math.log(low), math.log(high))))

    def quantisation(self, low: Real, high: Real) -> tuple[np.float32, Zero]:
        zero = self.rng.choice([self.limits.min, self.limits.max,
                                self.integer(self.limits.min, self.limits.max)])
        return self.spread(low, high), self.dtype.type(zero)

    def name(self, stem: str = "t") -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def constant(self, array: npt.ArrayLike, stem: str = "c") -> str:
        name = self.name(stem)
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def pair(self, name: str) -> list[str]:
        """Constants of scale and zero point of what is called ``name``."""
        _, scale, zero = self.known[name]
        return [self.constant(scale, "s"), self.constant(zero, "z")]

    def node(self, kind: str, inputs: Sequence[str], output: str | None = None, domain: str = "",
             **attributes: Any) -> str:
        output = output or self.name()
        self.nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **attributes))
        return output

    def real(self, name: str) -> str:
        return self.node("DequantizeLinear", [name, *self.pair(name)])

    def append(self, kind: str, quantised: str, operands: Sequence[str], shape: Shape,
               scale: Real, zero: Zero, others: Sequence[str] = (), clamp: bool = True,
               domain: str = MICROSOFT, **attributes: Any) -> None:
        """An operator of two names: on floats, on integers; ``others`` are its constants in each
        form, in the proper places."""
        result = self.name("q")
        self.known[result] = shape, np.float32(scale), zero
        if self.form == "qlinear":
            inputs = [each for name in operands for each in (name, *self.pair(name))]
            inputs += [*others[:3], *self.pair(result), *others[3:]]
            self.node(quantised, inputs, result, domain, **attributes)
        else:
            y = self.node(kind, [*map(self.real, operands), *others], **attributes)
            if clamp and self.rng.random() < 0.5:
                y = self.clamp(y)
            self.node("QuantizeLinear", [y, *self.pair(result)], result)
        self.last = result

    def clamp(self, name: str) -> str:
        if self.rng.random() < 0.6:
            return self.node("Relu", [name])
        return self.node("Clip", [name, *(self.constant(np.float32(n)) for n in (0, 6))])

    def layer(self, kind: str, quantised: str, weights: Shape, axis: int, shape: Shape,
              domain: str = "", **attributes: Any) -> None:
        rng, channels = self.rng, weights[axis]
        taps = math.prod(weights) // channels
        count = channels if rng.random() < 0.6 else 1
        scales = np.array([self.spread(0.002, 0.02) for _ in range(count)], np.float32)
        unsigned = self.dtype == np.uint8 and rng.random() < 0.3
        array, zeros = rng.integers(-128, 128, weights), np.zeros(count, np.int8)
        if unsigned:
            array, zeros = (array + 128).astype(np.uint8), np.full(count, 128, np.uint8)
            if rng.random() < 0.3:
                array, zeros[:] = rng.integers(0, 256, weights), rng.integers(0, 256)
        if count == 1:
            scales, zeros = scales[0], zeros[0]
        reach = 64 * 127 * math.sqrt(taps)
        _, zero = self.quantisation(1, 1)
        bias = rng.integers(-int(reach), int(reach) + 1, channels).astype(np.int32)
        others = [self.constant(array.astype(zeros.dtype), "w"), self.constant(scales, "s"),
                  self.constant(zeros, "z")]
        with_bias = rng.random() < 0.7 and kind != "MatMul"
        sums = (self.scale * scales).astype(np.float32)
        if self.form == "qdq":
            dequantised: dict[str, Any] = {"axis": axis} if count > 1 else {}
            others = [self.node("DequantizeLinear", others, **dequantised)]
            if with_bias:
                zeros = self.constant(np.zeros(np.shape(scales), np.int32), "z")
                dequantised = {"axis": 0} if count > 1 else {}
                others.append(self.node("DequantizeLinear", [
                    self.constant(bias, "b"), self.constant(sums, "s"), zeros], **dequantised))
        elif quantised == "QGemm":
            others.append(self.constant(bias, "b") if with_bias else "")
        elif with_bias:
            others.append(self.constant(bias, "b"))
        scale = self.scale * np.mean(scales) * reach / 100 * self.spread(0.5, 4)
        if quantised == "QGemm" and self.form == "qlinear":
            result = self.name("q")
            self.known[result] = shape, np.float32(scale), zero
            self.node("QGemm", [self.last, *self.pair(self.last), *others, *self.pair(result)],
                      result, MICROSOFT, **attributes)
            self.last = result
            return
        self.append(kind, quantised, [self.last], shape, scale, zero, others, domain=domain,
                    **attributes)

    def window(self, largest: int = 4,
               dilated: bool = True) -> tuple[list[int], list[int], dict[str, Any]]:
        """Kernel, output size and attributes of a window that fits."""
        size, rng = self.shape[2:], self.rng
        dilation = rng.integers(1, 3, 2).tolist() if dilated else [1, 1]
        kernel = [self.integer(1, largest) for _ in size]
        pads, outputs, stride = [], [], rng.integers(1, 4, 2).tolist()
        for axis, n in enumerate(size):
            k, d = kernel[axis], dilation[axis]
            before, after = rng.integers(0, k, 2).tolist() if rng.random() < 0.6 else (0, 0)
            while n + before + after < (k - 1) * d + 1:
                k = kernel[axis] = k - 1
            before, after = min(before, k - 1), min(after, k - 1)
            while n + before + after < (k - 1) * d + 1:
                k = kernel[axis] = k - 1
                before, after = min(before, k - 1), min(after, k - 1)
            pads.append((before, after))
            outputs.append((n + before + after - (k - 1) * d - 1) // stride[axis] + 1)
        attributes = {"strides": stride, "pads": [pair[at] for at in (0, 1) for pair in pads]}
        if dilated:
            attributes["dilations"] = dilation
        return kernel, outputs, attributes

    def conv(self) -> None:
        kernel, outputs, attributes = self.window()
        channels = self.shape[1]
        groups = int(self.rng.choice([n for n in range(1, channels + 1) if channels % n == 0]))
        filters = groups * self.integer(1, max(1, 12 // groups))
        self.layer("Conv", "QLinearConv", (filters, channels // groups, *kernel), 0,
                   (1, filters, *outputs), group=groups, **attributes)

    def depthwise(self) -> None:
        kernel, outputs, attributes = self.window()
        channels = self.shape[1]
        filters = channels * self.integer(1, 2)
        self.layer("Conv", "QLinearConv", (filters, 1, *kernel), 0, (1, filters, *outputs),
                   group=channels, **attributes)

    def add(self) -> None:
        """With any activation before it that has the same shape, itself included."""
        alike = [name for name, (shape, *_) in self.known.items() if shape == self.shape]
        other = str(self.rng.choice(alike))
        scale = max(self.scale, self.known[other][1]) * self.spread(0.5, 2)
        self.append("Add", "QLinearAdd", self.rng.permutation([self.last, other]).tolist(),
                    self.shape, scale, self.quantisation(1, 1)[1])

    def average_pool(self) -> None:
        kernel, outputs, attributes = self.window(dilated=False)
        if self.rng.random() < 0.3:  # all of the image
            kernel, outputs, attributes = list(self.shape[2:]), [1, 1], {}
        scale, zero = self.quantisation(self.scale * 0.3, self.scale * 1.2)
        if self.rng.random() < 0.6:  # halves
            scale = self.scale * self.rng.choice([np.float32(0.5), np.float32(1)])
        self.append("AveragePool", "QLinearAveragePool", [self.last],
                    (*self.shape[:2], *outputs), scale, zero, kernel_shape=kernel,
                    count_include_pad=int(self.rng.integers(2)), **attributes)

    def global_pool(self) -> None:
        scale, zero = self.quantisation(self.scale * 0.2, self.scale)
        if self.rng.random() < 0.4:  # halves
            scale = self.scale * self.rng.choice([np.float32(0.5), np.float32(1)])
        self.append("GlobalAveragePool", "QLinearGlobalAveragePool", [self.last],
                    (*self.shape[:2], 1, 1), scale, zero)

    def moved(self, kind: str, shape: Shape, constants: Sequence[str] = (),
              **attributes: Any) -> None:
        """What keeps scale and zero point, on integers or on floats."""
        result = self.name("q")
        self.known[result] = (shape, *self.known[self.last][1:])
        if self.form == "qdq":
            y = self.node(kind, [self.real(self.last), *constants], **attributes)
            self.node("QuantizeLinear", [y, *self.pair(result)], result)
        else:
            self.node(kind, [self.last, *constants], result, **attributes)
        self.last = result

    def max_pool(self) -> None:
        kernel, outputs, attributes = self.window(dilated=False)
        self.moved("MaxPool", (*self.shape[:2], *outputs), kernel_shape=kernel, **attributes)

    def pad(self) -> None:
        pads = self.rng.integers(0, 3, 4).tolist()
        n, channels, h, w = self.shape
        zero = np.float32(0) if self.form == "qdq" else self.known[self.last][2]
        self.moved("Pad", (n, channels, h + pads[0] + pads[2], w + pads[1] + pads[3]), [
            self.constant(np.array([0, 0, *pads[:2], 0, 0, *pads[2:]])), self.constant(zero)])

    def slices(self) -> None:
        """Some elements of two of the axes, forwards or backwards."""
        axes, shape = self.rng.permutation([1, 2, 3])[:2].tolist(), list(self.shape)
        begins, ends, steps = [], [], []
        for axis in axes:
            step = int(self.rng.choice([1, 1, 2, -1]))
            low, high = sorted(self.rng.integers(0, shape[axis], 2).tolist())
            begins.append(low if step > 0 else high)
            ends.append(high + 1 if step > 0 else low - shape[axis] - 1)
            steps.append(step)
            shape[axis] = (high - low) // abs(step) + 1
        self.moved("Slice", tuple(shape), [
            self.constant(np.array(each)) for each in (begins, ends, axes, steps)])

    def turn(self) -> None:
        """Other axes for channels, lines and pixels."""
        order = [0, *(self.rng.permutation(3) + 1).tolist()]
        self.moved("Transpose", tuple(self.shape[axis] for axis in order), perm=order)

    def gather(self) -> None:
        axis = self.integer(1, 3)
        index = self.rng.integers(0, self.shape[axis], self.integer(1, 6))
        self.moved("Gather", (*self.shape[:axis], index.size, *self.shape[axis + 1:]),
                   [self.constant(index)], axis=axis)

    def squares(self) -> None:
        n, channels, h, w = self.shape
        if h % 2 == w % 2 == 0:
            self.moved("SpaceToDepth", (n, channels * 4, h // 2, w // 2), blocksize=2)
        elif channels % 4 == 0:
            self.moved("DepthToSpace", (n, channels // 4, h * 2, w * 2), blocksize=2,
                       mode=str(self.rng.choice(["DCR", "CRD"])))

    def shuffle(self) -> None:
        """Channels of groups side by side."""
        n, channels, h, w = self.shape
        groups = int(self.rng.choice([n for n in range(1, channels + 1) if channels % n == 0]))
        self.moved("Reshape", (n, groups, channels // groups, h, w), [
            self.constant(np.array([n, groups, channels // groups, h, w]))])
        self.moved("Transpose", (n, channels // groups, groups, h, w), perm=[0, 2, 1, 3, 4])
        self.moved("Reshape", (n, channels, h, w), [self.constant(np.array([n, channels, h, w]))])

    def join(self) -> None:
        """Along lines or pixels, what is as large otherwise."""
        axis = self.integer(2, 3)
        alike = [name for name, (shape, *_) in self.known.items() if len(shape) == 4 and all(
            n == own for at, (n, own) in enumerate(zip(shape, self.shape, strict=True))
            if at != axis)]
        self.concatenate(axis, alike)

    def resize(self) -> None:
        n, channels, h, w = self.shape
        f = self.rng.integers(1, 4, 2).tolist()
        self.moved("Resize", (n, channels, h * f[0], w * f[1]), [
            "", self.constant(np.array([1, 1, *f], np.float32))], mode="nearest",
            coordinate_transformation_mode="asymmetric", nearest_mode="floor")

    def concatenate(self, axis: int = 1, alike: Sequence[str] = ()) -> None:
        """Along channels, or ``alike`` activations along another ``axis``."""
        alike = alike or [name for name, (shape, *_) in self.known.items() if len(shape) == 4
                          and shape[:1] + shape[2:] == self.shape[:1] + self.shape[2:]]
        parts = [self.last, *self.rng.choice(alike, self.integer(1, 3)).tolist()]
        parts = self.rng.permutation(parts).tolist()
        scale, zero = self.quantisation(self.scale * 0.5, self.scale * 2)
        if self.rng.random() < 0.3:
            scale, zero = self.known[parts[0]][1:]
        size = sum(self.known[part][0][axis] for part in parts)
        shape = (*self.shape[:axis], size, *self.shape[axis + 1:])
        if self.form == "qdq":
            self.append("Concat", "QLinearConcat", parts, shape, scale, zero, axis=axis)
            return
        result = self.name("q")
        self.known[result] = shape, np.float32(scale), zero
        self.node("QLinearConcat", [*self.pair(result), *(
            each for part in parts for each in (part, *self.pair(part)))], result, MICROSOFT,
            axis=axis)
        self.last = result

    def sigmoid(self) -> None:
        self.append("Sigmoid", "QLinearSigmoid", [self.last], self.shape, 1 / 256,
                    self.dtype.type(self.limits.min))

    def leaky_relu(self) -> None:
        self.append("LeakyRelu", "QLinearLeakyRelu", [self.last], self.shape,
                    self.scale * self.spread(0.5, 2), self.quantisation(1, 1)[1],
                    alpha=float(np.float32(self.rng.uniform(0, 1))))

    def requantise(self) -> None:
        """What QuantizeLinear makes of a dequantised activation; with a ReLU or without."""
        if self.form == "qdq":
            result = self.name("q")
            self.known[result] = (self.shape, *self.quantisation(self.scale * 0.5, self.scale * 2))
            y = self.real(self.last)
            y = self.clamp(y) if self.rng.random() < 0.7 else y
            self.node("QuantizeLinear", [y, *self.pair(result)], result)
            self.last = result

    def classify(self) -> None:
        """What networks end with."""
        rng = self.rng
        if rng.random() < 0.5:
            self.global_pool()
        n, *rest = self.shape
        features = math.prod(rest)
        match self.integer(0, 2):
            case 0:
                self.moved("Flatten", (n, features))
            case 1:
                self.moved("Reshape", (n, features), [self.constant(np.array([0, -1]))])
            case 2:
                self.moved("Transpose", (n, *rest[1:], rest[0]), perm=[0, 2, 3, 1])
                self.moved("Flatten", (n, features))
        classes = self.integer(2, 12)
        if rng.random() < 0.5:
            self.layer("MatMul", "QLinearMatMul", (features, classes), 1, (n, classes))
        else:
            turned = int(rng.integers(2))
            self.layer("Gemm", "QGemm", (classes, features) if turned else (features, classes),
                       1 - turned, (n, classes), transB=turned)
        if rng.random() < 0.6:
            opset: dict[str, Any] = {"opset": 13} if self.form == "qlinear" else {}
            self.append("Softmax", "QLinearSoftmax", [self.last], self.shape, 1 / 256,
                        self.dtype.type(self.limits.min), clamp=False, axis=-1, **opset)

    def model(self, batch: int = 1, floats: bool = False) -> bytes:
        """The finished model; a last DequantizeLinear gives ``floats``."""
        code = np_dtype_to_tensor_dtype(self.dtype)
        output = self.real(self.last) if floats else self.last
        real = np_dtype_to_tensor_dtype(np.dtype(np.float32))
        graph = helper.make_graph(
            self.nodes, "chain",
            [make_tensor_value_info(self.input, real if self.form == "qdq" else code,
                                    [batch, *self.shape_in[1:]])],
            [make_tensor_value_info(output, real if floats else code, None)], self.constants)
        return helper.make_model(graph, ir_version=9, opset_imports=[
            helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]).SerializeToString()


GROWING = ("concatenate", "resize")
STEPS = ("conv", "conv", "depthwise", "add", "average_pool", "max_pool", "pad", "sigmoid",
         "leaky_relu", *GROWING, "requantise")

#: What moves numbers, and what computes between.
MOVING = ("slices", "turn", "gather", "squares", "shuffle", "join", "conv", "max_pool", "pad")


def onnx_network(rng: np.random.Generator, form: str, dtype: str,
                 steps: Sequence[str] = STEPS) -> OnnxChain:
    chain = OnnxChain(rng, form, dtype)
    if steps is MOVING:  # a network computes something
        chain.conv()
    for number in range(chain.integer(1, 6)):
        step = str(rng.choice(steps if number else steps[:-1]))
        if step not in GROWING or math.prod(chain.shape) < 4096:
            getattr(chain, step)()
    if rng.random() < 0.6:
        chain.classify()
    return chain
