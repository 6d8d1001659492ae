"""Results of a target beside those of the golden models and of a runtime, byte by byte."""

import os
from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np

from rtl.validate import one_of
from rtl.wording import counted
from sim.golden.softmax import exponentials
from sim.golden.types import Int8
from systolith.frontends.model_file import format_of
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import Graph
from systolith.references.load import reference_of
from systolith.references.tflm import TflmError
from systolith.runtime.target import Run

__all__ = ["RUNTIMES", "Comparison"]

#: Name of each runtime, and the rounding that it has.
RUNTIMES = {"tflm": ("TensorFlow Lite Micro", "tflm"), "litert": ("LiteRT", "float32"),
            "onnxruntime": ("onnxruntime", "float32")}


#: What the exponentials of a softmax sum to where TensorFlow Lite Micro ends the process.
FLAT = 512


class _Reference(Protocol):
    """A model on a runtime; some have a method ``layers`` too, which gives all results by index."""

    def run(self, *inputs: Int8) -> list[Int8]:
        """Outputs of the graph."""


class Comparison:
    """Counts bytes that differ.

    Parameters
    ----------
    source, graph
        A model, and what :func:`systolith.frontends.model_file.read_model` made of it.
    runtime : :class:`str` or None
        Of :data:`RUNTIMES`; None stands for the one whose bytes the graph has to give.
    layers : :class:`bool`
        Whether to compare all operators, and with the golden models too, rather than outputs.

    Attributes
    ----------
    golden : dict
        Bytes that differ from the golden models, by tensor.
    """

    def __init__(self, source: str | os.PathLike[str] | bytes | bytearray, graph: Graph,
                 runtime: str | None, layers: bool) -> None:
        own = {"onnx": "onnxruntime", "tflite": "tflm"}[format_of(source)]
        self.runtime = one_of("the runtime", runtime or own, RUNTIMES)
        if (self.runtime == "onnxruntime") != (own == "onnxruntime"):
            raise ValueError(f"{RUNTIMES[self.runtime][0]} does not run "
                             f"{'.onnx' if own == 'onnxruntime' else '.tflite'} models; leave "
                             f"--compare out, or give {own}")
        self.graph = graph
        #: A part that the runtime itself runs has no layers to compare.
        self.partitioned = any(op.record.run is not None for op in graph.operators)
        self.layers = layers and not self.partitioned
        self.whole = self.partitioned or bool(graph.states)
        if self.whole and runtime is not None and runtime != own:
            raise ValueError("a network of which a runtime runs a part, or which keeps states, is "
                             f"compared with {RUNTIMES[own][0]} or, where that lacks an operator, "
                             "with LiteRT's reference kernels; leave --compare out")
        self._reference = self._load(source)
        self.golden = dict.fromkeys((op.outputs[0] for op in graph.operators), 0)
        self.differing = self.compared = self.largest = 0

    def _load(self, source: str | os.PathLike[str] | bytes | bytearray) -> _Reference:
        if self.whole and self.runtime != "onnxruntime":
            from systolith.references.whole_model import WholeModel

            return WholeModel(source, self.graph)
        if self.runtime == "litert":
            from systolith.references.litert import Litert

            return Litert(source)
        if self.runtime == "tflm":
            _refuse_left_out(self.graph)
        return reference_of(source)

    def take(self, run: Run) -> None:
        """Compare one :class:`~systolith.runtime.target.Run`."""
        inputs = [run.values[index] for index in self.graph.inputs]
        if self.runtime == "tflm":
            _refuse_flat(self.graph, run.values)
        if self.layers and hasattr(self._reference, "layers"):
            want = self._reference.layers(*inputs)
        else:
            own = inputs[:len(self.graph.own_inputs)]
            want = dict(zip(self.graph.own_outputs, self._reference.run(*own), strict=True))
        for index, value in want.items():
            got = run.values[index]
            self.differing += int((got != value).sum())
            self.compared += got.size
            self.largest = max(self.largest, int(np.abs(got.astype(int) - value).max()))
        if self.layers:
            golden = run_graph(self.graph, *inputs)
            for index in self.golden:
                self.golden[index] += int((run.values[index] != golden[index]).sum())

    @property
    def expected(self) -> bool:
        """Whether the runtime rounds as the graph asks, so that nothing may differ."""
        return RUNTIMES[self.runtime][1] == self.graph.rounding

    @property
    def failed(self) -> bool:
        return any(self.golden.values()) or (self.expected and self.differing > 0)

    def verdicts(self) -> Iterator[tuple[str, bool]]:
        """Sentences, and whether each is as it should be."""
        name = getattr(self._reference, "runtime", "") or RUNTIMES[self.runtime][0]
        if self.layers and (wrong := sum(self.golden.values())):
            yield f"{counted(wrong, 'byte')} differ from the golden models", False
        text = (f"{'' if self.differing else 'bit-exact: '}{self.differing:,} of "
                f"{counted(self.compared, 'byte')} differ from {name}")
        if self.differing and not self.expected:
            text += (f", by {self.largest} at the most; that is to be expected: {name} rounds "
                     "otherwise than TensorFlow Lite Micro, which this network is run as")
        yield text, not (self.expected and self.differing)


def _refuse_left_out(graph: Graph) -> None:
    """Raise :exc:`TflmError` rather than have TensorFlow Lite Micro end the process."""
    for op in graph.operators:
        if op.kind == "DEPTHWISE_CONV_2D" and -1 in op.inputs:
            raise TflmError(
                f"operator {op.index} (DEPTHWISE_CONV_2D): there is no result to compare with: "
                "TensorFlow Lite Micro ends the process where its biases are the operand -1; give "
                "it two operands instead")


def _refuse_flat(graph: Graph, values: Mapping[int, Int8]) -> None:
    """Raise :exc:`TflmError` rather than have TensorFlow Lite Micro end the process."""
    for op in graph.operators:
        x = values.get(op.inputs[0]) if op.kind == "SOFTMAX" else None
        if x is None:
            continue
        *_, total = exponentials(x, scale=graph.tensors[op.inputs[0]].scale,
                                 beta=op.attributes.beta)
        if total.max() >= FLAT << 19:
            raise TflmError(
                f"operator {op.index} (SOFTMAX): of so many numbers that are nearly alike there is "
                f"no result to compare with: TensorFlow Lite Micro ends the process where the "
                f"exponentials sum to {FLAT} or more; give another input, or --compare litert")
