"""What runs programs of the accelerator: simulators and devices have these members."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeGuard

from sim.golden.types import Int8

if TYPE_CHECKING:
    from rtl.accelerator import AcceleratorParams
    from systolith.compiler import Program

__all__ = ["OverlappingTarget", "Run", "RunError", "Target", "Values", "may_overlap"]

#: Tensors by their index in the graph.
Values = dict[int, Int8]


@dataclass(frozen=True, kw_only=True)
class Run:
    """Outcome of a run: int8 ``values`` by index of tensor; the ``cycles`` it took in all, and
    those of each layer of the program, which are 0 and none where nothing counts them."""

    values: Values
    cycles: int = 0
    layer_cycles: list[int] = field(default_factory=list)


class RunError(RuntimeError):
    """An accelerator stopped with an error: in the run ``index``, if it was one of several."""

    index: int | None = None


class Target(Protocol):
    """``params`` are those of the build to compile for, and ``program`` is the one that is loaded,
    or None. A target may be an
    :class:`OverlappingTarget`, and have ``compact``, which is true where a byte of an input takes
    longer to send than to compute."""

    params: "AcceleratorParams"
    program: "Program | None"

    def load(self, program: "Program") -> None:
        """Take a :class:`~systolith.compiler.Program` that was compiled for ``params``."""

    def run(self, *inputs: Int8) -> Run:
        """The :class:`Run` of int8 ``inputs`` (1, ...), in the order of the graph: its values have
        the inputs of the program's graph, the outputs, and the results of all operators if the
        program keeps them."""


class OverlappingTarget(Target, Protocol):
    """A target that can move inputs and outputs while it computes, as
    :class:`~systolith.runtime.driver.AcceleratorDriver` does."""

    def run_many(self, inputs: Iterable[Sequence[Int8]]) -> Iterator[Run | RunError]:
        """The outcome of a run of each of ``inputs``, in their order."""


def may_overlap(target: object) -> TypeGuard[OverlappingTarget]:
    """Whether a target is an :class:`OverlappingTarget`."""
    return hasattr(target, "run_many")
