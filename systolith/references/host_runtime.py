"""Models on a reference runtime, in a process of its own."""

import atexit
import functools
import hashlib
import os
import pickle
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

__all__ = ["HostRuntimeError", "HostStream", "host_runtime_of", "run_on_host"]

#: What runs a model, the first one that does, by its format.
ORDER = {"tflite": ("tflm", "litert"), "onnx": ("onnxruntime",)}

NAMES = {"tflm": "TensorFlow Lite Micro", "litert": "LiteRT's reference kernels",
         "onnxruntime": "onnxruntime"}

#: Seconds that a runtime may take for one run.
PATIENCE = 120.0

Arrays = list[npt.NDArray[Any]]


class HostRuntimeError(RuntimeError):
    """No runtime runs a model."""


class _Worker:
    """The process, which is started when it is needed, and again after it has ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._sent: set[str] = set()
        self._lock = threading.Lock()

    def ask(self, key: str, model: bytes | None, runtime: str,
            inputs: Arrays) -> tuple[Arrays | None, str]:
        """Results, or None and why there are none."""
        with self._lock:
            process = self._alive()
            assert process.stdin is not None and process.stdout is not None  # they are pipes
            timer = threading.Timer(PATIENCE, process.kill)
            timer.start()
            try:
                pickle.dump((key, None if key in self._sent else model, runtime, inputs),
                            process.stdin)
                process.stdin.flush()
                self._sent.add(key)
                answer: tuple[Arrays | None, str] = pickle.load(process.stdout)
                return answer
            except (EOFError, OSError, pickle.UnpicklingError):
                status = process.wait()
                self.close()
                return None, f"it ended the process, with the status {status}"
            except BaseException:  # an answer that is not waited for would be taken for the next
                self.close()
                raise
            finally:
                timer.cancel()

    @property
    def ended(self) -> bool:
        """Whether the process that was asked last is gone, and all that it had."""
        return self._process is None or self._process.poll() is not None

    def _alive(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self.ended:
            self.close()
            self._sent.clear()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "systolith.references.host_worker"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
        return self._process

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
            process.wait()


@functools.cache
def _worker(process: int) -> _Worker:
    """Of this very process: what was forked has none yet."""
    worker = _Worker()
    atexit.register(worker.close)
    return worker


#: What runs a model, by its key, once that is known.
_known: dict[str, str] = {}


def _key(model: bytes) -> str:
    return hashlib.sha256(model).hexdigest()


def run_on_host(model: bytes, form: str, inputs: Sequence[npt.NDArray[Any]]) -> Arrays:
    """The outputs of a ``model`` of a format, ``"tflite"`` or ``"onnx"``, by the first of its
    runtimes that runs it.

    Raises :exc:`HostRuntimeError` if none does: what each of them says.
    """
    key, worker = _key(model), _worker(os.getpid())
    reasons = []
    for runtime in [_known[key]] if key in _known else ORDER[form]:
        results, error = worker.ask(key, model, runtime, [*inputs])
        if results is not None:
            _known[key] = runtime
            return results
        reasons.append(f"{NAMES[runtime]}: {error}")
    raise HostRuntimeError(f"no runtime runs what is left to the host: {'; '.join(reasons)}")


def host_runtime_of(model: bytes) -> str:
    """The name of what ran a model; "" before it has run."""
    return NAMES.get(_known.get(_key(model), ""), "")


class HostStream:
    """A ``model`` that keeps something from one run to the next, in a process of its own; it begins
    as the file says.

    ``runtime`` is the name of what runs it, once it has.
    """

    def __init__(self, model: bytes, form: str) -> None:
        self._model, self._order, self._worker = model, ORDER[form], _Worker()
        self._key, self._begun = _key(model), False
        weakref.finalize(self, self._worker.close)

    @property
    def runtime(self) -> str:
        return NAMES[self._order[0]] if self._begun else ""

    def run(self, inputs: Sequence[npt.NDArray[Any]]) -> Arrays:
        """The outputs of the next run.

        Raises :exc:`HostRuntimeError` if no runtime runs the model, and if the process has ended
        since the first run, with what it kept.
        """
        if self._begun and self._worker.ended:
            raise HostRuntimeError("the process of the runtime has ended, and what it kept is lost")
        reasons = []
        model = None if self._begun else self._model  # a new process must not begin again
        for runtime in self._order:
            results, error = self._worker.ask(self._key, model, runtime, [*inputs])
            if results is not None:
                self._order, self._begun = (runtime,), True
                return results
            reasons.append(f"{NAMES[runtime]}: {error}")
        raise HostRuntimeError(f"no runtime runs the model: {'; '.join(reasons)}")
