"""The reference: models on TensorFlow Lite Micro itself."""

import functools
import struct
from collections.abc import Sequence
from dataclasses import replace

import flatbuffers
import numpy as np
from tflite_micro.python.tflite_micro import runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from sim.golden.types import Int8
from systolith.frontends.source import Source, bytes_of
from systolith.frontends.tflite import read_tflite
from systolith.frontends.tflite.buffers import inlined
from systolith.graph.file_layout import from_runtime, to_runtime

__all__ = ["Reference", "TflmError", "run_tflm"]

#: What its wrapper raises where a flatbuffer is damaged.
DAMAGE = (struct.error, IndexError, TypeError, ValueError, OverflowError)

#: Sizes of the arena to try, in bytes.
ARENAS = [1 << 24, 1 << 28]


class TflmError(Exception):
    """TensorFlow Lite Micro does not run a model."""


def _expose(data: bytes) -> tuple[bytes, list[int]]:
    """The model with the result of every operator among its outputs, and their indices."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    graph = model.subgraphs[0]
    graph.outputs = np.array([index for operator in graph.operators for index in operator.outputs],
                             np.int32)
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output()), graph.outputs.tolist()


class Reference:
    """A model, loaded once, in an arena that is large enough.

    Parameters
    ----------
    source : path or :class:`bytes`
        A .tflite model that :func:`systolith.frontends.tflite.read_tflite` accepts: the runtime may
        abort the whole process on one that is damaged.

    Raises
    ------
    :exc:`TflmError`
        If the runtime does not accept the model.
    """

    def __init__(self, source: Source) -> None:
        data = self._data = inlined(bytes_of(source))
        self._interpreter = _load(data)
        model = schema.Model.GetRootAs(data, 0)
        graph = model.Subgraphs(0)
        self._count = graph.OutputsLength()
        ends = [*graph.InputsAsNumpy().tolist(), *graph.OutputsAsNumpy().tolist()]
        other = any(graph.Tensors(index).Type() != schema.TensorType.INT8 for index in ends)
        # One at either end may be left to the layout of what the graph is given, or gives.
        codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
        other |= any(schema.BuiltinOperator.TRANSPOSE in {
            code.BuiltinCode(), code.DeprecatedBuiltinCode()} for code in codes)  # of older files
        self._graph = read_tflite(data) if other else None

    @functools.cached_property
    def _exposed(self) -> tuple["runtime.Interpreter", list[int]]:
        data, indices = _expose(self._data)
        return _load(data), indices

    def run(self, *inputs: Int8) -> list[Int8]:
        """Outputs of the model's graph, in its order, for int8 ``inputs`` of it."""
        outputs = _run(self._interpreter, self._fed(inputs), self._count)
        if self._graph is None:
            return outputs
        return [from_runtime(self._graph.tensors[index], y)
                for index, y in zip(self._graph.outputs, outputs, strict=True)]

    def layers(self, *inputs: Int8) -> dict[int, Int8]:
        """Results of all operators of the graph, by index of tensor."""
        interpreter, indices = self._exposed
        results = dict(zip(indices, _run(interpreter, self._fed(inputs), len(indices)),
                           strict=True))
        if self._graph is None:
            return results
        # The runtime has no layout of its own but where the network begins and ends.
        return {index: from_runtime(replace(self._graph.tensors[index], layout="NHWC"),
                                    results[index])
                for operator in self._graph.operators for index in operator.outputs}

    def _fed(self, inputs: Sequence[Int8]) -> Sequence[np.ndarray]:
        """``inputs`` of the graph as the file has them."""
        if self._graph is None:
            return inputs
        return [to_runtime(self._graph.tensors[index], x,
                           self._interpreter.get_input_details(position)["dtype"])
                for position, (index, x) in enumerate(zip(self._graph.inputs, inputs, strict=True))]


def _load(data: bytes) -> "runtime.Interpreter":
    for arena in ARENAS:
        try:
            return runtime.Interpreter.from_bytes(data, arena_size=arena)
        except (RuntimeError, *DAMAGE) as failure:
            error = failure
    raise TflmError(f"TensorFlow Lite Micro refuses the model, with {ARENAS[-1]} bytes of "
                    f"arena too: {error}")


def _run(interpreter: "runtime.Interpreter", inputs: Sequence[np.ndarray],
         outputs: int) -> list[np.ndarray]:
    try:
        for position, x in enumerate(inputs):
            interpreter.set_input(x, position)
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        raise TflmError(f"TensorFlow Lite Micro does not run the model: {error}") from error
    return [interpreter.get_output(position) for position in range(outputs)]


def run_tflm(source: Source, *inputs: Int8) -> list[Int8]:
    """Outputs of a .tflite model, given by path or as bytes, for int8 ``inputs`` of its shapes."""
    return Reference(source).run(*inputs)
