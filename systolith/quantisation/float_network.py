"""Float networks on the runtime of their format."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sim.golden.types import Float32
from systolith.frontends.model_file import format_of
from systolith.graph.ir import ModelError
from systolith.quantisation.calibration import Examples
from systolith.quantisation.float_model import input_shapes, load_float

__all__ = ["FloatNetwork"]


class FloatNetwork:
    """The float network in a file, loaded once: .onnx on onnxruntime, .tflite on LiteRT.

    ``shapes`` are those of its inputs by name, for one image.

    Raises :exc:`~systolith.graph.ir.ModelError` for what is none, or has no runtime here.
    """

    def __init__(self, path: Path, size: tuple[int, int] | None = None) -> None:
        self.shapes: Mapping[str, tuple[int, ...]]
        if format_of(path) == "onnx":
            model = load_float(path, size)
            self.shapes, self._run = input_shapes(model), _onnxruntime(path, model)
        else:
            self.shapes, self._run = _litert(path)

    def results(self, examples: Examples, step: Callable[[str], None]) -> list[Float32]:
        """The outputs (n, ...) for all of the ``examples``; ``step`` is told of each."""
        outputs = []
        for number, example in enumerate(examples, 1):
            step(f"float network: input {number} of {len(examples)}")
            outputs.append(self._run(example))
        return [np.concatenate(each) for each in zip(*outputs, strict=True)]


Run = Callable[[Mapping[str, Float32]], list[Float32]]


def _onnxruntime(path: Path, model: Any) -> Run:
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError("onnxruntime is not installed: pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                               providers=["CPUExecutionProvider"])
    except Exception as error:  # it has no common class of its own
        raise ModelError(f"{path}: onnxruntime refuses the model: {error}") from error
    return lambda example: session.run(None, dict(example))


def _litert(path: Path) -> tuple[Mapping[str, tuple[int, ...]], Run]:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ModelError("LiteRT is not installed: pip install ai-edge-litert") from error
    try:
        interpreter = Interpreter(model_path=str(path))
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"{path}: LiteRT refuses the model: {error}") from error
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    for each in inputs:
        if each["dtype"] != np.float32:
            raise ModelError(f"{path}: the input {each['name']} is not float32")

    def run(example: Mapping[str, Float32]) -> list[Float32]:
        for each in inputs:
            interpreter.set_tensor(each["index"], example[each["name"]])
        interpreter.invoke()
        return [interpreter.get_tensor(each["index"]) for each in outputs]

    return {each["name"]: tuple(map(int, each["shape"])) for each in inputs}, run
