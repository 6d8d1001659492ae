"""Golden operators of the float32 rounding against onnxruntime itself, where halves are common."""

import itertools
import math

import numpy as np
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from onnx.helper import make_tensor_value_info, np_dtype_to_tensor_dtype

from sim.golden import float32
from sim.golden.requantize import requantize_float32

MICROSOFT = "com.microsoft"


def run(kind, inputs, constants, order, domain=MICROSOFT, **attributes):
    """The result of one operator, of the type of its zero points; ``order`` names its inputs."""
    value = [make_tensor_value_info(name, np_dtype_to_tensor_dtype(x.dtype), x.shape)
             for name, x in inputs.items()]
    dtype = next(x.dtype for name, x in constants.items() if name.startswith("z"))
    result = make_tensor_value_info("y", np_dtype_to_tensor_dtype(dtype), None)
    graph = helper.make_graph(
        [helper.make_node(kind, order.split(), ["y"], domain=domain, **attributes)], "one", value,
        [result], [numpy_helper.from_array(np.asarray(x), name) for name, x in constants.items()])
    model = helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


def scale(rng):
    """Any scale, or a power of two, with which halves are exact."""
    if rng.random() < 0.5:
        return np.float32(2.0 ** -rng.integers(1, 6))
    return np.float32(math.exp(rng.uniform(-7, 0)))


def tensor(rng, dtype, shape):
    """Numbers with their scale and zero point."""
    limits = np.iinfo(dtype)
    return (rng.integers(limits.min, limits.max + 1, shape).astype(dtype), scale(rng),
            dtype.type(rng.integers(limits.min, limits.max + 1)))


def int8(x, offset):
    return (x.astype(int) - offset).astype(np.int8)


@pytest.fixture(params=["int8", "uint8"])
def dtype(request):
    return np.dtype(request.param)


@pytest.fixture
def offset(dtype):
    return 128 if dtype == np.uint8 else 0


def test_add(dtype, offset):
    for seed in range(60):
        rng = np.random.default_rng(seed)
        (a, sa, za), (b, sb, zb) = (tensor(rng, dtype, (1, 20_000)) for _ in range(2))
        _, _, zy = tensor(rng, dtype, 1)
        sy = np.float32(2.0 ** -rng.integers(0, 5) if seed % 2 else (sa + sb) * rng.uniform(0.3, 2))
        want = run("QLinearAdd", {"a": a, "b": b},
                   {"sa": sa, "za": za, "sb": sb, "zb": zb, "sy": sy, "zy": zy},
                   "a sa za b sb zb sy zy")
        got = float32.add(int8(a, offset), int8(b, offset), scales=(sa, sb), offset=offset,
                          zero_points=(int(za) - offset, int(zb) - offset), scale=sy,
                          zero_point=int(zy) - offset)
        np.testing.assert_array_equal(got, int8(want, offset), f"seed {seed}")


def pooled(rng, kind, dtype, x_shape, **attributes):
    x, sx, zx = tensor(rng, dtype, x_shape)
    _, _, zy = tensor(rng, dtype, 1)
    sy = np.float32(sx * rng.choice([0.25, 0.5, 1.0, rng.uniform(0.2, 1.5)]))
    want = run(kind, {"x": x}, {"sx": sx, "zx": zx, "sy": sy, "zy": zy}, "x sx zx sy zy",
               channels_last=1, **attributes)
    offset = 128 * (dtype == np.uint8)
    return int8(x, offset), int8(want, offset), {
        "input_scale": sx, "input_zero_point": int(zx) - offset, "scale": sy,
        "zero_point": int(zy) - offset}


def test_average_pool(dtype, offset):
    for seed in range(150):
        rng = np.random.default_rng(seed)
        kernel, stride = (rng.integers(1, 5, 2).tolist() for _ in range(2))
        padding = tuple((int(rng.integers(0, k)), int(rng.integers(0, k))) for k in kernel)
        size = [k + int(rng.integers(0, 8)) for k in kernel]
        if seed % 3 == 0:  # windows that are the whole image; two thirds of them without padding
            size, padding = kernel, padding if seed % 9 == 0 else ((0, 0), (0, 0))
        inclusive = bool(rng.integers(2))
        x, want, quantisation = pooled(
            rng, "QLinearAveragePool", dtype, (2, *size, int(rng.integers(1, 20))),
            kernel_shape=kernel, strides=stride, pads=[pair[n] for n in (0, 1) for pair in padding],
            count_include_pad=int(inclusive))
        if kernel == size and not any(map(any, padding)):
            got = float32.mean(x, **quantisation)
        else:
            got = float32.average_pool(x, kernel=kernel, stride=stride, padding=padding,
                                       offset=offset, count_padding=inclusive, **quantisation)
        np.testing.assert_array_equal(got, want, f"seed {seed}")


def test_mean(dtype):
    for seed in range(150):
        rng = np.random.default_rng(seed)
        x, want, quantisation = pooled(rng, "QLinearGlobalAveragePool", dtype,
                                       (2, *rng.integers(1, 15, 2).tolist(), 40))
        np.testing.assert_array_equal(float32.mean(x, **quantisation), want, f"seed {seed}")


@pytest.mark.parametrize("classes", [1, 2, 3, 5, 10, 100])
def test_softmax(dtype, offset, classes):
    """Among them many halves, or what is as close to one as float32 tells."""
    for seed, (sx, sy) in enumerate(itertools.product((0.003, 0.05, 0.3), (1 / 255, 1 / 256))):
        rng = np.random.default_rng(seed)
        x, _, _ = tensor(rng, dtype, (40_000 // classes, classes))
        sx, sy, low = np.float32(sx), np.float32(sy), np.iinfo(dtype).min
        want = run("QLinearSoftmax", {"x": x}, {"sx": sx, "zx": dtype.type(0), "sy": sy,
                                                "zy": dtype.type(low)},
                   "x sx zx sy zy", axis=1, opset=17)
        got = float32.softmax(int8(x, offset), input_scale=sx, scale=sy, zero_point=-128)
        np.testing.assert_array_equal(got, int8(want, offset), f"seed {seed}")


def test_order_in_which_scales_are_multiplied():
    """Sums, given as biases, whose results depend on it."""
    tried = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sx, sw = (np.float32(math.exp(rng.uniform(-7, -2))) for _ in range(2))
        sy = np.float32(sx * sw / math.exp(rng.uniform(-9, -6)))
        factor = float32.rescale(sx, sw, sy)
        others = [sx * (sw / sy), sx / sy * sw, np.float32(float(sx) * float(sw) / float(sy))]
        sums = np.arange(-int(140 / factor), int(140 / factor)).astype(np.int32)
        got = requantize_float32(sums, 0, factor, 5)
        telling = np.any([requantize_float32(sums, 0, other, 5) != got for other in others], axis=0)
        if telling.any():
            one = np.ones((telling.sum(), 1, 1, 1), np.int8)
            want = run("QLinearConv", {"x": np.zeros((1, 1, 1, 1), np.int8)},
                       {"sx": sx, "sw": sw, "sy": sy, "zx": np.int8(0), "zw": np.int8(0),
                        "zy": np.int8(5), "w": one, "b": sums[telling]},
                       "x sx zx w sw zw sy zy b", domain="")
            np.testing.assert_array_equal(got[telling], want.ravel(), f"seed {seed}")
            tried += telling.sum()
    assert tried > 100


def test_quantize(dtype, offset):
    rng = np.random.default_rng(3)
    x = (rng.integers(-2000, 2000, (1, 50_000)) / 16).astype(np.float32)
    for s, z in ((0.5, 3), (0.25, 100), (0.3, 7)):
        want = run("QuantizeLinear", {"x": x}, {"s": np.float32(s), "z": dtype.type(z)}, "x s z",
                   domain="")
        np.testing.assert_array_equal(float32.quantize(x, s, z - offset), int8(want, offset))
