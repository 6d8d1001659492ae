"""What runs programs of the accelerator: simulators and devices have these members."""

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Run", "RunError", "Target"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """Outcome of a run: int8 ``values`` by index of tensor; the ``cycles`` it took in all, and
    those of each layer of the program, which are 0 and none where nothing counts them."""

    values: dict
    cycles: int = 0
    layer_cycles: list = ()


class RunError(RuntimeError):
    """An accelerator stopped with an error: in the run ``index``, if it was one of several."""

    index = None


class Target(Protocol):
    """``params`` are those of the build to compile for. A target may have ``run_many``, as
    :class:`~systolith.runtime.driver.AcceleratorDriver` does, and ``compact``, which is true where
    a byte of an input takes longer to send than to compute."""

    params: object

    def load(self, program):
        """Take a :class:`~systolith.compiler.Program` that was compiled for ``params``."""

    def run(self, *inputs):
        """The :class:`Run` of int8 ``inputs`` (1, ...), in the order of the graph: its values have
        the inputs of the program's graph, the outputs, and the results of all operators if the
        program keeps them."""
