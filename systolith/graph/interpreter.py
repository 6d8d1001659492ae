"""Whole graphs on the golden models."""

from functools import partial

import numpy as np

from sim.golden import float32, operators, pointwise
from sim.golden.conv import conv2d, depthwise_conv2d, fully_connected, transpose_conv2d
from sim.golden.softmax import softmax

__all__ = ["run_graph", "run_operator"]


def _clamped(graph, operator):
    low, high = graph.clamp(operator)
    return {"low": low, "high": high}


def _layer(graph, operator):
    """Operands and constants of a layer with weights."""
    (x, weights, _), y = graph.layer(operator), graph.result(operator)
    return (weights.data, graph.bias(operator)), {
        "input_zero_point": x.zero_point, "scale": graph.rescale(operator),
        "zero_point": y.zero_point, **_clamped(graph, operator)}


def _convolution(function):
    def run(graph, operator, x):
        constants, quantisation = _layer(graph, operator)
        geometry = {key: operator.attributes[key] for key in ("stride", "dilation", "padding")}
        return function(x, *constants, **quantisation, **geometry)
    return run


def _transpose_conv(graph, operator, x):
    constants, quantisation = _layer(graph, operator)
    geometry = {key: operator.attributes[key] for key in ("stride", "padding")}
    return transpose_conv2d(x, *constants, size=graph.result(operator).shape[1:3], **quantisation,
                            **geometry)


def _dense(function):
    def run(graph, operator, x):
        constants, quantisation = _layer(graph, operator)
        y = function(x.reshape(-1, constants[0].shape[1]), *constants, **quantisation)
        return y.reshape(-1, *graph.result(operator).shape[1:])
    return run


def _add(graph, operator, a, b, function=operators.add, **more):
    operands, y = [graph.operand(operator, n) for n in (0, 1)], graph.result(operator)
    return function(a, b, scales=[x.scale for x in operands],
                    zero_points=[x.zero_point for x in operands], scale=y.scale,
                    zero_point=y.zero_point, **_clamped(graph, operator), **more)


def _of_input(function):
    """``function`` of numbers whose scale and zero point are those of the input."""
    def run(graph, operator, x):
        tensor = graph.operand(operator, 0)
        return function(x, scale=tensor.scale, zero_point=tensor.zero_point)
    return run


def _ends(graph, operator):
    """Scales and zero points of the input and of the result."""
    ends = graph.operand(operator, 0), graph.result(operator)
    return {"scales": [end.scale for end in ends], "zero_points": [end.zero_point for end in ends]}


def _between_scales(function):
    """``function`` that takes numbers from the input's scale to that of the result."""
    def run(graph, operator, x):
        return function(x, **operator.attributes, **_ends(graph, operator))
    return run


def _images(graph, operator, x):
    return x.reshape(len(x), *graph.operand(operator, 0).size, -1)


def _mean(graph, operator, x):
    y = operators.mean(_images(graph, operator, x), **_ends(graph, operator))
    return y.reshape(-1, *graph.result(operator).shape[1:])


def _pool(function):
    def run(graph, operator, x):
        geometry = {key: operator.attributes[key] for key in ("kernel", "stride", "padding")}
        return function(x, **geometry, **_clamped(graph, operator))
    return run


def _quantisation(graph, operator):
    """Scales and zero points of an operator that takes one activation to another scale."""
    x, y = graph.operand(operator, 0), graph.result(operator)
    return {"input_scale": x.scale, "input_zero_point": x.zero_point, "scale": y.scale,
            "zero_point": y.zero_point, **_clamped(graph, operator)}


def _offset(graph, operator):
    return 128 * graph.result(operator).unsigned


def _add_float32(graph, operator, a, b):
    return _add(graph, operator, a, b, function=float32.add, offset=_offset(graph, operator))


def _average_pool_float32(graph, operator, x):
    geometry = {key: operator.attributes[key]
                for key in ("kernel", "stride", "padding", "count_padding")}
    return float32.average_pool(x, **geometry, **_quantisation(graph, operator),
                                offset=_offset(graph, operator))


RUN = {
    "CONV_2D": _convolution(conv2d),
    "DEPTHWISE_CONV_2D": _convolution(depthwise_conv2d),
    "TRANSPOSE_CONV": _transpose_conv,
    "FULLY_CONNECTED": _dense(fully_connected),
    "ADD": _add,
    "AVERAGE_POOL_2D": _pool(operators.average_pool),
    "MAX_POOL_2D": _pool(operators.max_pool),
    "MEAN": _mean,
    "CONCATENATION": lambda graph, operator, *parts: np.concatenate(parts, axis=-1),
    "RESHAPE": lambda graph, operator, x: x.reshape(-1, *graph.result(operator).shape[1:]),
    "RESIZE_NEAREST_NEIGHBOR": lambda graph, operator, x: operators.repeat(
        x, operator.attributes["factor"]),
    "SOFTMAX": lambda graph, operator, x: softmax(x, scale=graph.operand(operator, 0).scale,
                                                  beta=operator.attributes["beta"]),
    "LOGISTIC": _of_input(pointwise.logistic),
    "TANH": _of_input(pointwise.tanh),
    "HARD_SWISH": _between_scales(pointwise.hard_swish),
    "RELU": _between_scales(pointwise.relu),
    "RELU6": _of_input(partial(pointwise.clamp, activation="RELU6")),
    "RELU_N1_TO_1": _of_input(partial(pointwise.clamp, activation="RELU_N1_TO_1")),
    "LEAKY_RELU": _between_scales(pointwise.leaky_relu),
    "QUANTIZE": _between_scales(pointwise.requantise),
    "PAD": lambda graph, operator, x: operators.pad(x, operator.attributes["padding"],
                                                    graph.result(operator).zero_point),
}


def _requantised(function, *names):
    """``function`` that takes numbers from the input's scale to that of the result, in float32."""
    def run(graph, operator, x):
        attributes = {name: operator.attributes[name] for name in names}
        return function(x, **_quantisation(graph, operator), **attributes)
    return run


def _mean_float32(graph, operator, x):
    y = float32.mean(_images(graph, operator, x), **_quantisation(graph, operator))
    return y.reshape(-1, *graph.result(operator).shape[1:])


def _softmax_float32(graph, operator, x):
    quantisation = _quantisation(graph, operator)
    del quantisation["input_zero_point"]
    return float32.softmax(x, **quantisation)


#: In graphs of the rounding float32.
RUN_FLOAT32 = {
    "CONV_2D": _convolution(float32.conv2d),
    "DEPTHWISE_CONV_2D": _convolution(float32.depthwise_conv2d),
    "FULLY_CONNECTED": _dense(float32.fully_connected),
    "ADD": _add_float32,
    "AVERAGE_POOL_2D": _average_pool_float32,
    "MEAN": _mean_float32,
    "QUANTIZE": _requantised(float32.requantise),
    "LOGISTIC": _requantised(float32.logistic),
    "LEAKY_RELU": _requantised(float32.leaky_relu, "alpha"),
    "LOCAL_RESPONSE_NORMALIZATION": _requantised(float32.local_response_normalization, "size",
                                                 "alpha", "beta", "bias"),
    "SOFTMAX": _softmax_float32,
    **{kind: RUN[kind] for kind in ("CONCATENATION", "MAX_POOL_2D", "PAD", "RESHAPE",
                                    "RESIZE_NEAREST_NEIGHBOR")},
}


def run_operator(graph, operator, values):
    """The int8 result of ``operator``, whose operands are in ``values`` by index of tensor."""
    operands = [values[index] for index in operator.inputs if index in values]
    functions = RUN_FLOAT32 if graph.rounding == "float32" else RUN
    return functions[operator.kind](graph, operator, *operands)


def run_graph(graph, *inputs, run=run_operator):
    """Every activation by its index of tensor, from int8 ``inputs`` in the graph's order.

    Inputs may hold any number of images along their first axis. ``run`` computes an operator.
    """
    for index, x in zip(graph.inputs, inputs, strict=True):
        tensor = graph.tensors[index]
        if x.dtype != np.int8:
            raise TypeError(f"input {tensor.name} must be int8, not {x.dtype}")
        if x.ndim != len(tensor.shape) or x.shape[1:] != tensor.shape[1:] or x.shape[0] == 0:
            raise ValueError(f"input {tensor.name} must have the shape {tensor.shape} but for the "
                             f"number of images, not {x.shape}")
    values = dict(zip(graph.inputs, inputs, strict=True))
    for operator in graph.operators:
        values[operator.outputs[0]] = run(graph, operator, values)
    return values
