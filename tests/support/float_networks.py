"""Float .onnx networks with random weights, as exporters write them."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

__all__ = ["NETWORKS", "float_network"]


class _Builder:
    """Appends operators to one another; ``last`` is the name of the last result."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.constants, self.last = [], [], "image"

    def constant(self, array):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def add(self, kind, *further, x=None, **attributes):
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [x or self.last, *further], [name], name,
                                           **attributes))
        self.last = name
        return name

    def conv(self, channels, filters, kernel=1, stride=1, groups=1, norm=False):
        inputs = channels // groups
        weights = self.rng.normal(
            0, (2 / (inputs * kernel ** 2)) ** 0.5, (filters, inputs, kernel, kernel))
        bias = self.rng.normal(0, 0.1, filters)
        pad = kernel // 2
        self.add("Conv", *map(self.constant, (weights.astype(np.float32), bias.astype(np.float32))),
                 strides=[stride] * 2, pads=[pad] * 4, kernel_shape=[kernel] * 2, group=groups)
        if norm:
            self.add("BatchNormalization", *(self.constant(each.astype(np.float32)) for each in (
                self.rng.uniform(0.5, 2, filters), self.rng.normal(0, 0.2, filters),
                self.rng.normal(0, 0.2, filters), self.rng.uniform(0.5, 2, filters))))

    def gemm(self, inputs, outputs):
        weights = self.rng.normal(0, inputs ** -0.5, (outputs, inputs)).astype(np.float32)
        self.add("Gemm", *map(self.constant, (weights, np.zeros(outputs, np.float32))), transB=1)

    def clip(self):
        self.add("Clip", *map(self.constant, (np.float32(0), np.float32(6))))

    def pool(self):
        self.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])

    def classify(self, channels):
        self.add("GlobalAveragePool")
        self.add("Flatten")
        self.gemm(channels, 10)


def _plain(net):
    """The batch is left open, and read by what flattens, as torch.onnx.export writes it."""
    for channels, filters in ((3, 8), (8, 16)):
        net.conv(channels, filters, 3)
        net.add("Relu")
        net.pool()
    x = net.last
    batch = net.add("Gather", net.constant(np.int64(0)), x=net.add("Shape"), axis=0)
    axes = net.constant(np.int64([0]))
    shape = net.add("Concat", net.constant(np.int64([-1])), x=net.add("Unsqueeze", axes, x=batch),
                    axis=0)
    net.add("Reshape", shape, x=x)
    net.gemm(16 * 4 * 4, 10)


def _resnet(net):
    net.conv(3, 8, 3, norm=True)
    first = net.add("Relu")
    net.conv(8, 16, 3, stride=2, norm=True)
    net.add("Relu")
    net.conv(16, 16, 3, norm=True)
    second, net.last = net.last, first
    net.conv(8, 16, 1, stride=2, norm=True)
    net.add("Add", second)
    net.add("Relu")
    net.classify(16)


def _mobilenet_v2(net):
    net.conv(3, 8, 3, stride=2, norm=True)
    net.clip()
    before = net.last
    net.conv(8, 24, norm=True)
    net.clip()
    net.conv(24, 24, 3, groups=24, norm=True)
    net.clip()
    net.conv(24, 8, norm=True)
    net.add("Add", before)
    net.classify(8)


def _mobilenet_v3(net):
    net.conv(3, 8, 3, stride=2, norm=True)
    before = net.add("HardSwish")
    net.conv(8, 16, norm=True)
    net.add("HardSwish")
    net.conv(16, 16, 3, groups=16, norm=True)
    wide = net.add("HardSwish")
    net.add("GlobalAveragePool")
    net.conv(16, 4)
    net.add("Relu")
    net.conv(4, 16)
    net.add("HardSigmoid", alpha=1 / 6, beta=0.5)
    net.add("Mul", wide)
    net.conv(16, 8, norm=True)
    net.add("Add", before)
    net.classify(8)


NETWORKS = {"plain": _plain, "resnet": _resnet, "mobilenet_v2": _mobilenet_v2,
            "mobilenet_v3": _mobilenet_v3}


def float_network(name, opset=14, seed=0):
    """A float model of an image (n, 3, 16, 16), n left open."""
    net = _Builder(seed)
    NETWORKS[name](net)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        net.nodes, name, [value("image", TensorProto.FLOAT, ["n", 3, 16, 16])],
        [value(net.last, TensorProto.FLOAT, ["n", 10])], net.constants)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)])
