"""What onnxruntime fuses into operators on integers, and what is refused because it does not:
random edits of the form with QuantizeLinear and DequantizeLinear, each accepted file held against
it byte for byte."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx.helper import make_tensor_value_info

from systolith.frontends.onnx import read_onnx
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import ModelError
from systolith.references.onnxruntime import OnnxReference

CHANNELS, SIZE = 8, 4
SEEDS = 200
CODES = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}


class Edited:
    """A few operators, and between them what exporters do not put there."""

    def __init__(self, rng):
        self.rng, self.nodes, self.constants, self.count = rng, [], {}, 0
        self.outputs, self.types = [], {}
        self.shape = (1, CHANNELS, SIZE, SIZE)
        self.dtype = np.dtype(rng.choice(["int8", "uint8"]))
        self.first = self.dtype
        self.scale = np.float32(rng.choice([0.05, 0.0625]))
        self.zero = self.any_zero()
        self.real = self.dequantise("x")
        for _ in range(rng.integers(1, 4)):
            self.group()
        self.outputs.append(self.nodes[-2].output[0])

    def maybe(self, chance):
        return self.rng.random() < chance

    def any_zero(self):
        limits = np.iinfo(self.dtype)
        return self.dtype.type(self.rng.integers(limits.min, limits.max + 1))

    def constant(self, array):
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(array)
        return name

    def node(self, kind, inputs, **attributes):
        self.count += 1
        self.nodes.append(helper.make_node(kind, inputs, [f"t{self.count}"], **attributes))
        self.types[f"t{self.count}"] = (CODES[self.dtype.name] if kind == "QuantizeLinear"
                                        else TensorProto.FLOAT)
        return f"t{self.count}"

    def pair(self):
        return [self.constant(self.scale), self.constant(self.zero)]

    def dequantise(self, name):
        return self.node("DequantizeLinear", [name, *self.pair()])

    def group(self):
        """An operator between DequantizeLinear and QuantizeLinear."""
        real = self.between(self.real, 0.4)
        real = self.operator(real)
        if self.maybe(0.3):
            real = self.node("Relu", [real])
        if self.maybe(0.1):
            self.outputs.append(real)
        if self.maybe(0.1):
            self.dtype = np.dtype("int8" if self.dtype == np.uint8 else "uint8")
        self.scale *= np.float32(self.rng.choice([1, 2, 1.3]))
        self.zero = self.any_zero()
        numbers = self.node("QuantizeLinear", [real, *self.pair()])
        if self.maybe(0.1):
            self.outputs.append(self.node("QuantizeLinear", [real, *self.pair()]))
        self.real = self.dequantise(numbers)
        if self.maybe(0.15):
            self.outputs.append(self.node("QuantizeLinear", [self.real, *self.pair()]))

    def between(self, real, chance):
        while self.maybe(chance):
            chance /= 2
            n, channels, h, w = (*self.shape, 1, 1)[:4]
            match self.rng.choice(["Identity", "Dropout", "Flatten", "Reshape", "Pad", "Resize",
                                   "MaxPool", "Relu", "Squeeze"]):
                case "Identity" | "Dropout" | "Relu" as kind:
                    real = self.node(str(kind), [real])
                case "Flatten":
                    real, self.shape = self.node("Flatten", [real]), (n, channels * h * w)
                case "Reshape":
                    self.shape = (n, channels * h * w)
                    real = self.node("Reshape", [real, self.constant(np.array(self.shape))])
                case "Pad" if len(self.shape) == 4:
                    pads = self.constant(np.array([0, 0, 1, 0, 0, 0, 0, 1]))
                    real = self.node("Pad", [real, pads, self.constant(np.float32(0))])
                    self.shape = (n, channels, h + 1, w + 1)
                case "Resize" if len(self.shape) == 4 and h < 5:
                    factors = self.constant(np.array([1, 1, 2, 2], np.float32))
                    real = self.node("Resize", [real, "", factors], mode="nearest",
                                     coordinate_transformation_mode="asymmetric",
                                     nearest_mode="floor")
                    self.shape = (n, channels, 2 * h, 2 * w)
                case "MaxPool" if len(self.shape) == 4 and h > 1:
                    real = self.node("MaxPool", [real], kernel_shape=[2, 2])
                    self.shape = (n, channels, h - 1, w - 1)
                case "Squeeze" if h == w == 1 and len(self.shape) == 4:
                    real = self.node("Squeeze", [real, self.constant(np.array([2, 3]))])
                    self.shape = (n, channels)
            if self.maybe(0.1):  # a second reader
                self.outputs.append(self.node("QuantizeLinear", [real, *self.pair()]))
        return real

    def operator(self, real):
        """Any that fits the shape."""
        image, rng = len(self.shape) == 4, self.rng
        kinds = (["Conv", "AveragePool", "GlobalAveragePool"] if image else ["Gemm", "MatMul"])
        kind = str(rng.choice([*kinds, *kinds, "Add", "Sigmoid", "LeakyRelu", "none", "Concat"]))
        if kind in {"Conv", "Gemm", "MatMul"}:
            cin = self.shape[1]
            shape = (CHANNELS, cin, 1, 1) if image else (cin, CHANNELS)
            dtype = np.int8 if self.maybe(0.9) else np.uint8
            weights = rng.integers(-40, 40, shape) + 128 * (dtype == np.uint8)
            ends = [self.constant(np.float32(2.0 ** -9)),
                    self.constant(dtype(128 * (dtype == np.uint8)))]
            if self.maybe(0.2) and not image:
                numbers = [self.constant(weights.T.astype(dtype)), *ends]
                other = self.node("Transpose", [self.node("DequantizeLinear", numbers)])
            else:
                other = self.node("DequantizeLinear", [self.constant(weights.astype(dtype)), *ends])
            self.shape = (1, CHANNELS, *self.shape[2:])
            return self.node(kind, [real, other])
        match kind:
            case "AveragePool":
                size = self.shape[2:] if self.maybe(0.5) else (1, 2)
                if self.shape[3] == 1:
                    size = self.shape[2:]
                self.shape = (*self.shape[:2], *(n - k + 1 for n, k in zip(self.shape[2:], size,
                                                                          strict=True)))
                return self.node(kind, [real], kernel_shape=list(map(int, size)))
            case "GlobalAveragePool":
                self.shape = (*self.shape[:2], 1, 1)
                return self.node(kind, [real])
            case "Add":
                return self.node(kind, [real, real])
            case "Concat":
                self.shape = (1, 2 * self.shape[1], *self.shape[2:])
                return self.node(kind, [real, real], axis=1)
            case "none":
                return real
        return self.node(kind, [real])

    def model(self):
        graph = helper.make_graph(
            self.nodes, "edited",
            [make_tensor_value_info("x", CODES[self.first.name], (1, CHANNELS, SIZE, SIZE))],
            [make_tensor_value_info(name, self.types[name], None)
             for name in dict.fromkeys(self.outputs)],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()])
        return helper.make_model(graph, ir_version=9, opset_imports=[
            helper.make_opsetid("", 17)]).SerializeToString()


def test_edits():
    accepted = refused = 0
    for seed in range(SEEDS):
        rng = np.random.default_rng([9, seed])
        data = Edited(rng).model()
        try:
            graph = read_onnx(data)
        except ModelError as error:
            refused += "onnxruntime computes floats" in str(error)
            continue
        reference = OnnxReference(data)
        for _ in range(2):
            x = rng.integers(-128, 128, graph.tensors[graph.inputs[0]].shape).astype(np.int8)
            got = run_graph(graph, x)
            for index, want in zip(graph.outputs, reference.run(x), strict=True):
                np.testing.assert_array_equal(got[index], want, f"seed {seed}")
        accepted += 1
    assert accepted > SEEDS // 4 and refused > SEEDS // 10
