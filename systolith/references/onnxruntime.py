"""The reference of .onnx models: onnxruntime itself, pinned to its integer kernels.

onnxruntime knows two results of the form with QuantizeLinear and DequantizeLinear: without
optimisations it computes floats; with them it fuses groups into operators on integers, on x86-64
only for uint8 unless it is told to for int8 too. The integers are what the file means and what
other devices compute, so they are the truth here: extended optimisations, which fuse, but not those
of layouts. A ReLU or Clip whose lower bound is not the lowest number keeps a group from being
fused; there the operator before it is given a QuantizeLinear and a DequantizeLinear of its own, in
the same scale.
"""

import functools
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper

from sim.golden.types import Int8
from systolith.frontends.onnx import read_onnx
from systolith.frontends.onnx.external import model_bytes
from systolith.frontends.source import Source, bytes_of
from systolith.graph.file_layout import from_runtime, to_runtime

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["OnnxReference", "OnnxruntimeError"]

#: Operators that are fused with the QuantizeLinear behind them.
FUSED = {"Conv", "Gemm", "MatMul", "Add", "AveragePool", "GlobalAveragePool", "Sigmoid",
         "LeakyRelu", "Softmax", "Concat"}


class OnnxruntimeError(Exception):
    """onnxruntime is missing, or does not run a model."""


class OnnxReference:
    """A model, loaded once.

    Parameters
    ----------
    source : path or :class:`bytes`
        An .onnx model that :func:`systolith.frontends.onnx.read_onnx` accepts.
    integers : :class:`bool`
        Whether to fuse groups into operators on integers; otherwise no optimisation at all.

    Raises
    ------
    :exc:`OnnxruntimeError`
        If the runtime is not installed, or does not accept the model.
    """

    def __init__(self, source: Source, *, integers: bool = True) -> None:
        data = model_bytes(source, bytes_of(source))
        self._graph, self._integers = read_onnx(data, partition=True), integers
        self._model = onnx.ModelProto.FromString(data)
        if integers:
            _separate(self._model.graph)

    @functools.cached_property
    def _exposed(self) -> tuple["onnxruntime.InferenceSession", list[int]]:
        """A session that gives the outputs of the file, and then all further tensors of the graph
        that the file has; and the indices of these."""
        model, tensors = onnx.ModelProto(), self._graph.tensors
        model.CopyFrom(self._model)
        further = ({name for node in model.graph.node for name in node.output}
                   - {output.name for output in model.graph.output})
        indices = [index for operator in self._graph.operators for index in operator.outputs
                   if tensors[index].name in further and index not in self._graph.outputs]
        model.graph.output.extend(helper.make_tensor_value_info(
            tensors[index].name, helper.np_dtype_to_tensor_dtype(np.dtype(
                "uint8" if tensors[index].unsigned else "int8")), None) for index in indices)
        return _session(model, self._integers), indices

    def layers(self, *inputs: Int8) -> dict[int, Int8]:
        """Results of the operators by index of tensor, and the outputs, for int8 ``inputs`` of the
        graph; without those that the file does not have."""
        session, indices = self._exposed
        fed = {}
        for given, index, x in zip(session.get_inputs(), self._graph.inputs, inputs, strict=True):
            dtype = np.float32 if given.type == "tensor(float)" else None
            fed[given.name] = to_runtime(self._graph.tensors[index], x, dtype)
        try:
            results = session.run(None, fed)
        except Exception as error:  # it has no common class of its own
            raise OnnxruntimeError(f"onnxruntime does not run the model: {error}") from error
        return {index: from_runtime(self._graph.tensors[index], result)
                for index, result in zip([*self._graph.outputs, *indices], results, strict=True)}

    def run(self, *inputs: Int8) -> list[Int8]:
        """Outputs of the graph, in its order, for int8 ``inputs`` of it."""
        layers = self.layers(*inputs)
        return [layers[index] for index in self._graph.outputs]


def _session(model: onnx.ModelProto, integers: bool) -> "onnxruntime.InferenceSession":
    try:
        import onnxruntime
    except ImportError as error:
        raise OnnxruntimeError("onnxruntime is not installed: pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = (levels.ORT_ENABLE_EXTENDED if integers
                                        else levels.ORT_DISABLE_ALL)
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    exact = not _saturates() or not any(  # of int8 it has no such kernels
        each.data_type == onnx.TensorProto.UINT8 for each in model.graph.initializer)
    if not exact:
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options,
                                            providers=["CPUExecutionProvider"])
    except Exception as error:
        if not exact and "Failed to find kernel" in str(error):  # of int8 activations beside uint8
            raise OnnxruntimeError(
                "there is no result to compare with: on this CPU, which lacks VNNI, onnxruntime's "
                "sums of uint8 times int8 saturate at 16 bits, and its option against that "
                "(session.x64quantprecision) takes no file that has int8 activations too; compare "
                "on a CPU with VNNI") from error
        raise OnnxruntimeError(f"onnxruntime refuses the model: {error}") from error


@functools.cache
def _saturates() -> bool:
    """Whether sums of uint8 times int8 saturate at 16 bits on this CPU, as those without VNNI do
    unless onnxruntime is asked for all bits. It is tried: truth is the exact sum."""
    import onnxruntime

    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "w"], ["y"])], "sums",
        [helper.make_tensor_value_info("x", onnx.TensorProto.UINT8, [4, 64])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.INT32, [4, 16])],
        [numpy_helper.from_array(np.full((64, 16), 127, np.int8), "w")])
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
    y, = session.run(None, {"x": np.full((4, 64), 255, np.uint8)})
    return bool(np.any(y != 64 * 255 * 127))


def _separate(graph: onnx.GraphProto) -> None:
    """Quantise what a ReLU or Clip reads as what is behind it is quantised."""
    makers = {name: node for node in graph.node for name in node.output}
    nodes = []
    for node in graph.node:
        nodes.append(node)
        if node.op_type != "QuantizeLinear":
            continue
        first = None
        maker = makers.get(node.input[0])
        while maker is not None and maker.op_type in {"Relu", "Clip"} and not maker.domain:
            first, maker = maker, makers.get(maker.input[0])
        if first is None or maker is None or maker.op_type not in FUSED:
            continue
        real = first.input[0]
        names = f"{real} of {node.output[0]}", f"{real} again of {node.output[0]}"
        pair = [helper.make_node("QuantizeLinear", [real, *node.input[1:]], [names[0]]),
                helper.make_node("DequantizeLinear", [names[0], *node.input[1:]], [names[1]])]
        at = next(index for index, each in enumerate(nodes) if each is first)
        nodes[at:at] = pair
        first.input[0] = names[1]
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)
