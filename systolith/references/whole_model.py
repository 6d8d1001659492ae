"""A .tflite model as it is, on a runtime in a process of its own: the reference of networks of
which a part runs on the host."""

from collections.abc import Sequence

import numpy as np
import tflite

from systolith.frontends.source import Source, bytes_of
from systolith.frontends.tflite.buffers import inlined
from systolith.graph.file_layout import from_runtime, to_runtime
from systolith.graph.ir import Graph
from systolith.graph.record import Values
from systolith.references.host_runtime import (
    HostRuntimeError,
    HostStream,
    host_runtime_of,
    run_on_host,
)
from systolith.references.tflm import TflmError

__all__ = ["WholeModel"]

#: NumPy's names of the types of a file.
DTYPES = {code: np.dtype("bool" if name == "BOOL" else name.lower())
          for name, code in vars(tflite.TensorType).items()
          if name in {"FLOAT32", "FLOAT64", "INT8", "INT16", "INT32", "INT64", "UINT8", "BOOL"}}


class WholeModel:
    """The model ``source``, of which ``graph`` was made.

    It runs on TensorFlow Lite Micro or, where that lacks an operator, on LiteRT's reference
    kernels; ``runtime`` is the name of the one that did. What it keeps from one run to the next it
    keeps itself, from the first run on.
    """

    def __init__(self, source: Source, graph: Graph) -> None:
        self._data, self._graph = inlined(bytes_of(source)), graph
        main = tflite.Model.GetRootAs(self._data, 0).Subgraphs(0)
        self._stream = HostStream(self._data, "tflite") if graph.states else None
        self._dtypes = [DTYPES.get(main.Tensors(index).Type())
                        for index in main.InputsAsNumpy().tolist()]

    @property
    def runtime(self) -> str:
        return self._stream.runtime if self._stream else host_runtime_of(self._data)

    def run(self, *inputs: Values) -> list[Values]:
        """Outputs of the graph, in its order, for ``inputs`` of it; one image after the other. Both
        are without states.

        Raises :exc:`~systolith.references.tflm.TflmError` if no runtime runs the model.
        """
        tensors = [self._graph.tensors[index] for index in self._graph.own_inputs]
        fed = [to_runtime(tensor, x, dtype) for tensor, x, dtype in zip(
            tensors, inputs, self._dtypes, strict=True)]
        count = len(fed[0]) // max(tensors[0].shape[0], 1) if tensors[0].shape else 1
        parts = [np.split(x, count) for x in fed]
        try:
            runs = [self._one(each) for each in zip(*parts, strict=True)]
        except HostRuntimeError as error:
            raise TflmError(str(error)) from error
        return [np.concatenate([from_runtime(self._graph.tensors[index], run[position])
                                for run in runs])
                for position, index in enumerate(self._graph.own_outputs)]

    def _one(self, inputs: Sequence[Values]) -> list[Values]:
        return (self._stream.run(inputs) if self._stream
                else run_on_host(self._data, "tflite", inputs))
