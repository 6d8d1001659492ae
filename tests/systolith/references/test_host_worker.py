"""The process that runs reference runtimes: what it answers, and that it may end."""

import io
import os
import pickle
import signal

import numpy as np
import pytest

from systolith.references import host_runtime
from systolith.references.host_runtime import HostRuntimeError, host_runtime_of, run_on_host
from systolith.references.host_worker import RUNTIMES, serve
from systolith.references.tflm import Reference
from systolith.zoo.digits import held_out, model_bytes


def answers(*requests):
    source, sink = io.BytesIO(b"".join(map(pickle.dumps, requests))), io.BytesIO()
    serve(source, sink)
    sink.seek(0)
    return [pickle.load(sink) for _ in requests]


@pytest.mark.parametrize("runtime", ["tflm", "litert"])
def test_answers_are_those_of_the_runtime(runtime):
    x, model = held_out().images[:2], model_bytes()
    (first, wrong), (again, wrong_again) = answers(
        ("digits", model, runtime, [x[:1]]), ("digits", None, runtime, [x[1:]]))
    assert not wrong and not wrong_again
    reference = Reference(model)
    for results, image in ((first, x[:1]), (again, x[1:])):
        want = reference.run(image)[0].astype(int)
        # The softmax of LiteRT rounds otherwise.
        assert np.abs(results[0] - want).max() <= (runtime == "litert")


def test_what_a_runtime_refuses_is_an_answer():
    results, error = answers(("damaged", bytes(100), "litert", []))[0]
    assert results is None and error
    assert set(RUNTIMES) == {"tflm", "litert", "onnxruntime"}


def test_another_process_takes_over():
    """A runtime that ends the process ends nothing else."""
    x, model = held_out().images[:1], model_bytes()
    want, = run_on_host(model, "tflite", [x])
    assert host_runtime_of(model) == "TensorFlow Lite Micro"
    worker = host_runtime._worker(os.getpid())
    os.kill(worker._process.pid, signal.SIGKILL)
    worker._process.wait()
    got, = run_on_host(model, "tflite", [x])
    np.testing.assert_array_equal(got, want)


def test_a_process_that_ends_is_the_reason(monkeypatch):
    """Of both runtimes, as the model is sent."""
    worker = host_runtime._worker(os.getpid())
    alive = worker._alive

    def dead():
        process = alive()
        process.kill()
        process.wait()
        return process

    monkeypatch.setattr(worker, "_alive", dead)
    with pytest.raises(HostRuntimeError, match=r"TensorFlow Lite Micro: it ended the process, with "
                                               r"the status -9; LiteRT's reference kernels: it"):
        run_on_host(model_bytes() + b"more", "tflite", [held_out().images[:1]])
