"""Models on LiteRT, the runtime of phones and computers, with its default delegate."""

from sim.golden.types import Int8
from systolith.frontends.source import Source, bytes_of
from systolith.frontends.tflite import read_tflite
from systolith.graph.file_layout import from_runtime, to_runtime
from systolith.references.tflm import TflmError

__all__ = ["Litert"]


class Litert:
    """A .tflite model on LiteRT, as :class:`~systolith.references.tflm.Reference` is on TensorFlow
    Lite Micro.

    Raises :exc:`TflmError` if the runtime is not installed or does not run the model.
    """

    def __init__(self, source: Source) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise TflmError("LiteRT is not installed: pip install ai-edge-litert") from error
        data = bytes_of(source)
        try:
            self._interpreter = Interpreter(model_content=data, num_threads=1)
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise TflmError(f"LiteRT refuses the model: {error}") from error
        self._graph = read_tflite(data)

    def run(self, *inputs: Int8) -> list[Int8]:
        """Outputs of the model's graph, in its order, for int8 ``inputs`` of it."""
        interpreter, graph = self._interpreter, self._graph
        for detail, index, x in zip(interpreter.get_input_details(), graph.inputs, inputs,
                                    strict=True):
            interpreter.set_tensor(detail["index"],
                                   to_runtime(graph.tensors[index], x, detail["dtype"]))
        interpreter.invoke()
        return [from_runtime(graph.tensors[index], interpreter.get_tensor(detail["index"]))
                for detail, index in zip(interpreter.get_output_details(), graph.outputs,
                                         strict=True)]
