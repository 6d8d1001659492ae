"""Networks as the runtimes people know run them."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, overload

import numpy as np
import numpy.typing as npt

from rtl.accelerator import AcceleratorParams
from sim.golden.types import Float32, Int8
from systolith.compiler.batch import check_batch, check_states
from systolith.compiler.choice import session_program
from systolith.compiler.partition import partition
from systolith.compiler.passes import optimise
from systolith.frontends.model_file import read_model
from systolith.graph.attributes import Foreign
from systolith.graph.file_layout import axes_of_file, file_dtype, from_graph, to_graph
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import Graph, Tensor
from systolith.runtime.names import distinct
from systolith.runtime.states import States
from systolith.runtime.target import Run, RunError, Target, may_overlap

__all__ = ["Session", "TensorInfo"]


class _Golden:
    """The golden models; they take a graph in place of a program."""

    params = program = None

    def load(self, graph: Graph) -> None:
        optimised = optimise(graph, False)
        parts = partition(optimised)
        check_batch(optimised, sorted({  # as an accelerator would
            index for op in optimised.operators if not parts.on_host(op)
            for index in (*op.activations, *op.outputs)}))
        self.graph = graph

    def run(self, *inputs: Int8) -> Run:
        return Run(values=run_graph(self.graph, *inputs))


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """An input or an output of a network.

    ``name`` is that of the file, with a number behind it where another one is called so before.
    ``shape`` is that of the file, its first axis the batch, 1 for one image. ``dtype`` is
    ``"int8"`` or ``"uint8"``, and ``real = scale * (number - zero_point)``; or another type, of
    what a runtime takes or gives, whose ``scale`` is 0. ``rounding`` is that of the graph.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int
    rounding: str

    @classmethod
    def inputs_of(cls, graph: Graph) -> tuple[Self, ...]:
        """All inputs of a graph but for its states."""
        return cls._all(graph, graph.own_inputs, "input")

    @classmethod
    def outputs_of(cls, graph: Graph) -> tuple[Self, ...]:
        """All outputs of a graph but for its states."""
        return cls._all(graph, graph.own_outputs, "output")

    @classmethod
    def _all(cls, graph: Graph, indices: Iterable[int], stem: str) -> tuple[Self, ...]:
        tensors = [graph.tensors[index] for index in indices]
        names = distinct((tensor.name for tensor in tensors), stem)
        return tuple(cls._of(tensor, name, graph.rounding)
                     for tensor, name in zip(tensors, names, strict=True))

    @classmethod
    def _of(cls, tensor: Tensor, name: str, rounding: str) -> Self:
        shape = axes_of_file(tensor, np.empty(tensor.shape, np.int8)).shape
        return cls(name=name, shape=shape, dtype=file_dtype(tensor),
                   scale=float(tensor.scale) if tensor.scales else 0.0,
                   zero_point=tensor.zero_point + 128 * tensor.unsigned, rounding=rounding)

    def quantise(self, real: npt.ArrayLike) -> np.ndarray:
        """Numbers of ``dtype`` for ``real`` ones: to nearest, clamped; ties to even, as ONNX's
        QuantizeLinear has them, or away from zero, as TensorFlow Lite's QUANTIZE does."""
        if self.dtype not in {"int8", "uint8"} or not self.scale:
            return np.asarray(real).astype(self.dtype)
        limits = np.iinfo(self.dtype)
        if not np.isfinite(real).all():
            raise ValueError(f"input {self.name} has numbers that are not finite: NaN or infinity")
        quotients = np.asarray(real, np.float32) / np.float32(self.scale)
        if self.rounding == "tflm":
            whole = np.trunc(quotients)
            numbers = whole + np.sign(quotients) * (np.abs(quotients - whole) >= 0.5)
        else:
            numbers = np.rint(quotients)
        numbers = numbers + self.zero_point
        return np.clip(numbers, limits.min, limits.max).astype(self.dtype)

    def dequantise(self, numbers: npt.ArrayLike) -> Float32:
        """float32 of what ``numbers`` stand for."""
        if not self.scale:
            return np.asarray(numbers).astype(np.float32)
        return ((np.asarray(numbers).astype(np.int32) - self.zero_point)
                * np.float32(self.scale)).astype(np.float32)


class Session:
    """A network on a target.

    >>> y = Session("model.tflite").run(x)

    A network that keeps states is given each image after the one before it, in one call or in
    several, until :meth:`reset`. A run that fails changes none of them.

    Parameters
    ----------
    model : path, :class:`bytes` or :class:`~systolith.graph.ir.Graph`
        A .tflite or .onnx model.
    target : :class:`str`, :class:`AcceleratorParams` or object
        ``"golden"``: the models in NumPy. ``"rtl"``: the compiled simulation of an 8x8 build whose
        memories suffice; parameters: of that build. Or a :class:`~systolith.runtime.target.Target`.
    keep : :class:`bool`
        Keep all tensors, for :meth:`results`.
    batch : :class:`int`
        Images of a run of the accelerator, which share weights; one, if the network keeps states.

    Attributes
    ----------
    inputs, outputs : tuple of :class:`TensorInfo`
    graph : :class:`~systolith.graph.ir.Graph`
    program : :class:`~systolith.compiler.Program` or None
        Loaded again for a run if the target has another one by then.
    cycles : :class:`int`
        Of the last :meth:`run`, all images together.
    alone : :class:`str`
        Why runs of several images do not overlap with the transfer of their inputs and outputs;
        empty if they do.

    Raises :exc:`~systolith.graph.ir.ModelError` or :exc:`ValueError` for what the target cannot
    run.
    """

    def __init__(self, model: Graph | str | os.PathLike[str] | bytes,
                 target: str | AcceleratorParams | Target = "rtl", *, keep: bool = False,
                 batch: int = 1) -> None:
        self.graph = graph = (model if isinstance(model, Graph)
                              else read_model(model, partition=True))
        _check_counts(graph)
        check_states(graph, batch)
        self.target, self.batch = _target(graph, target, keep, batch), batch
        self.program, self.cycles = None, 0
        if isinstance(self.target, _Golden):
            self.alone = "the golden models run one after the other"
            self.target.load(graph)
        else:
            self.program, self.alone = session_program(
                graph, self.target.params, keep, batch, overlap=may_overlap(self.target),
                compact=getattr(self.target, "compact", False))
            self.target.load(self.program)
        self.inputs, self.outputs = TensorInfo.inputs_of(graph), TensorInfo.outputs_of(graph)
        self._states = States(graph)

    def reset(self) -> None:
        """Begin anew: the states are what the file says that they begin with."""
        self._states.reset()

    @overload
    def run(self, *inputs: npt.ArrayLike,
            real: bool = ...) -> np.ndarray | tuple[np.ndarray, ...]: ...
    @overload
    def run(self, named: dict[str, Any], /, *,
            real: bool = ...) -> np.ndarray | tuple[np.ndarray, ...]: ...
    def run(self, *inputs: Any, real: bool = False) -> np.ndarray | tuple[np.ndarray, ...]:
        """The output, or a tuple of them if the network has several.

        Each input is an array (n, ...) of its tensor's type, in the order of :attr:`inputs`, or a
        single dict has them all by name. With ``real`` they are real numbers instead, which are
        quantised, and outputs are float32.
        """
        if len(inputs) == 1 and isinstance(inputs[0], dict):
            inputs = self._by_name(inputs[0])
        if real:
            inputs = [tensor.quantise(x) for tensor,
                      x in zip(self.inputs, inputs, strict=False)] + [
                *inputs[len(self.inputs):]]
        before = self._states.numbers
        try:
            runs = list(self.results(*inputs))
        except BaseException:  # whoever asks again asks for all of them
            self._states.numbers = before
            raise
        self.cycles = sum(run.cycles for run in runs)
        outputs = self.gather(runs)
        if real:
            outputs = [tensor.dequantise(y) for tensor,
                       y in zip(self.outputs, outputs, strict=True)]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def results(self, *inputs: npt.ArrayLike) -> Iterator[Run]:
        """The :class:`Run` of each image in turn, or of each ``batch`` of them, its values as the
        graph has them.

        Raises :exc:`~systolith.runtime.target.RunError` after the others for those that failed; or
        for the first one, if the network keeps states, and then no other has run.
        """
        images = self._checked(inputs)
        if self.graph.states:
            yield from self._after_each_other(images)
            return
        total, failed = len(images[0]), []
        # The last run may have room for more.
        runs = [tuple(np.resize(x[first:first + self.batch], (self.batch, *x.shape[1:]))
                      for x in images) for first in range(0, total, self.batch)]
        if len(runs) > 1 and may_overlap(self.target):
            self._load()
            outcomes = self.target.run_many(runs)
        else:
            outcomes = map(self._run, runs)
        for number, run in enumerate(outcomes):
            if isinstance(run, RunError):
                failed.append(f"run {number + 1} of {len(runs)}: {run}")
                continue
            count = min(self.batch, total - number * self.batch)
            values = dict(zip(self.graph.inputs, runs[number], strict=True)) | run.values
            yield replace(run, values={index: self._of(index, count, value)
                                       for index, value in values.items()})
        if failed:
            raise RunError("; ".join(failed))

    def _after_each_other(self, images: Sequence[Int8]) -> Iterator[Run]:
        """Runs of a network that keeps states."""
        for number in range(total := len(images[0])):
            given = (*(x[number:number + 1] for x in images), *self._states.given())
            try:
                run = self._run(given)
            except RunError as error:
                raise RunError(f"run {number + 1} of {total}: {error}; the states are those before "
                               "it") from error
            values = dict(zip(self.graph.inputs, given, strict=True)) | run.values
            self._states.advance(values)
            yield replace(run, values=values)

    def _run(self, images: Sequence[Int8]) -> Run:
        self._load()
        return self.target.run(*images)

    def _load(self) -> None:
        """Load the program, unless the target has it: another session may have loaded its own."""
        target, program = self.target, self.program
        if (program is not None and not isinstance(target, _Golden)
                and target.program is not program):
            target.load(program)

    def _of(self, index: int, count: int, value: Int8) -> Int8:
        """The first ``count`` images: those of a runtime may have a longer first axis."""
        first, *_ = (*self.graph.tensors[index].shape, 1)
        one = self.graph.tensors[self.graph.inputs[0]].shape[:1] == (1,)
        return value[:count * first if one else count]

    def gather(self, runs: Sequence[Run]) -> list[np.ndarray]:
        """Outputs (n, ...) of as many runs, in their order, as the file has them."""
        return [from_graph(self.graph.tensors[index],
                           np.concatenate([run.values[index] for run in runs]))
                for index in self.graph.own_outputs]

    def _by_name(self, named: Mapping[str, npt.ArrayLike]) -> list[npt.ArrayLike]:
        names = [tensor.name for tensor in self.inputs]
        if set(named) != set(names):
            raise ValueError(f"the inputs are {', '.join(names)}, not {', '.join(map(str, named))}")
        return [named[name] for name in names]

    def _checked(self, inputs: Sequence[npt.ArrayLike]) -> list[Int8]:
        """Inputs as the graph has them, or an error that says what is wrong."""
        if len(inputs) != len(self.inputs):
            raise ValueError(f"the network has {len(self.inputs)} inputs "
                             f"({', '.join(tensor.name for tensor in self.inputs)}), but "
                             f"{len(inputs)} were given")
        checked, counts = [], {}
        for tensor, index, x in zip(self.inputs, self.graph.own_inputs, inputs, strict=True):
            x = np.asarray(x)
            if x.dtype != tensor.dtype:
                hint = ("; run(..., real=True) quantises real numbers"
                        if x.dtype.kind == "f" else "")
                raise TypeError(f"input {tensor.name} must be {tensor.dtype}, not {x.dtype}{hint}")
            if x.ndim != len(tensor.shape) or x.shape[1:] != tensor.shape[1:] or len(x) == 0:
                shape = ", ".join(map(str, ("n", *tensor.shape[1:])))
                raise ValueError(f"input {tensor.name} must be of the shape ({shape}), not "
                                 f"{x.shape}")
            counts[tensor.name] = len(x)
            checked.append(to_graph(self.graph.tensors[index], x))
        if len(set(counts.values())) > 1:
            raise ValueError("inputs must have as many images each, not " + ", ".join(
                f"{count} of {name}" for name, count in counts.items()))
        return checked


def _check_counts(graph: Graph) -> None:
    # Of what a runtime gives, the first axis may be any.
    foreign = any(isinstance(op.attributes, Foreign) for op in graph.operators)
    counts = {(*graph.tensors[index].shape, 1)[0]
              for index in (*graph.own_inputs, *(() if foreign else graph.own_outputs))}
    if len(counts) > 1:
        raise ValueError(f"inputs and outputs have first axes of {sorted(counts)}, but that is "
                         "the axis of the images: reshape all to the same")


def _target(graph: Graph, target: str | AcceleratorParams | Target, keep: bool,
            batch: int) -> Target | _Golden:
    if isinstance(target, str) and target == "golden":
        return _Golden()
    if target == "rtl" or isinstance(target, AcceleratorParams):
        from systolith.compiler.fitting import fit, small_build
        from systolith.runtime.simulated_accelerator import SimulatedAccelerator

        params = target if isinstance(target, AcceleratorParams) else fit(
            graph, small_build(rounding=graph.rounding), keep, batch)
        return SimulatedAccelerator(params)
    if not isinstance(target, str) and all(
            hasattr(target, name) for name in ("params", "program", "load", "run")):
        return target
    raise ValueError(f"target must be \"golden\", \"rtl\", AcceleratorParams or a device, not "
                     f"{target!r}")
