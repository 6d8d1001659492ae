"""A process of its own for what a reference runtime runs on the host: it may end with a model that
its wheel cannot bear, and take nothing else with it.

Requests come pickled by the standard input, answers leave by the standard output: ``(model,
runtime, inputs)`` and ``(results, error)``, where a model that was sent before is its key alone.
"""

import os
import pickle
import sys
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

__all__ = ["RUNTIMES", "serve"]

Arrays = list[npt.NDArray[Any]]

#: Runs a model that is loaded.
Runner = Callable[[Sequence[npt.NDArray[Any]]], Arrays]

#: Sizes of TensorFlow Lite Micro's arena to try, in bytes.
ARENAS = 1 << 24, 1 << 28


def _tflm(data: bytes) -> Runner:
    from tflite_micro.python.tflite_micro import runtime
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    count = schema.Model.GetRootAs(data, 0).Subgraphs(0).OutputsLength()
    interpreter = _in_an_arena(runtime.Interpreter, data)

    def run(inputs: Sequence[npt.NDArray[Any]]) -> Arrays:
        for position, x in enumerate(inputs):
            interpreter.set_input(x, position)
        interpreter.invoke()
        return [np.array(interpreter.get_output(position)) for position in range(count)]
    return run


def _in_an_arena(interpreter: Any, data: bytes) -> Any:
    for arena in ARENAS[:-1]:
        try:
            return interpreter.from_bytes(data, arena_size=arena)
        except RuntimeError:
            pass  # perhaps it is too small
    try:
        return interpreter.from_bytes(data, arena_size=ARENAS[-1])
    except RuntimeError as error:
        raise RuntimeError(f"it refuses the model: {error}") from error


def _litert(data: bytes) -> Runner:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_content=data, num_threads=1,
                              experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()

    def run(inputs: Sequence[npt.NDArray[Any]]) -> Arrays:
        for detail, x in zip(interpreter.get_input_details(), inputs, strict=True):
            interpreter.set_tensor(detail["index"], x)
        interpreter.invoke()
        return [np.array(interpreter.get_tensor(detail["index"]))
                for detail in interpreter.get_output_details()]
    return run


def _onnxruntime(data: bytes) -> Runner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def run(inputs: Sequence[npt.NDArray[Any]]) -> Arrays:
        return [np.asarray(y) for y in session.run(None, dict(zip(names, inputs, strict=True)))]
    return run


RUNTIMES = {"tflm": _tflm, "litert": _litert, "onnxruntime": _onnxruntime}


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer requests until there are no more."""
    models: dict[str, bytes] = {}
    loaded: dict[tuple[str, str], Runner] = {}
    while True:
        try:
            key, model, runtime, inputs = pickle.load(source)
        except EOFError:
            return
        try:
            if model is not None:
                models[key] = model
            if (key, runtime) not in loaded:
                loaded[key, runtime] = RUNTIMES[runtime](models[key])
            answer: tuple[Arrays | None, str] = loaded[key, runtime](inputs), ""
        except Exception as error:  # whatever a runtime raises is its answer
            answer = None, " ".join(str(error).split()) or type(error).__name__
        pickle.dump(answer, sink)
        sink.flush()


def _main() -> None:
    """Runtimes print what they please: that must not be taken for answers."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    serve(sys.stdin.buffer, sink)


if __name__ == "__main__":
    _main()
