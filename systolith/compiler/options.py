"""What is asked of a program besides the results."""

from dataclasses import dataclass

from rtl.validate import integer
from systolith.compiler.codegen.loop_nests import MOST

__all__ = ["Options"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of :func:`~systolith.compiler.compile_graph`.

    Parameters
    ----------
    keep : :class:`bool`
        No tensor makes room for another, and none is done without, so that all can be read
        afterwards.
    batch : :class:`int`
        Images of a run, which share weights where a layer can take them at once.
    double_buffered : :class:`bool`
        What the host writes and reads lies there twice, in ping-pong, so that it is moved during
        runs.
    compact : :class:`bool`
        Inputs come in as few bytes as can be, where others may take lines of an image several times
        over to be done in fewer cycles.
    partition : :class:`bool`
        Operators that the build cannot run, whatever its memories, are left to the host, which runs
        their golden models. Without it they are refused, and so is what only a runtime runs.

    Raises :exc:`ValueError` for a batch out of range, and for tensors that are kept while runs
    overlap.
    """

    keep: bool = False
    batch: int = 1
    double_buffered: bool = False
    compact: bool = False
    partition: bool = False

    def __post_init__(self) -> None:
        integer("batch", self.batch, 1, MOST)
        if self.keep and self.double_buffered:
            raise ValueError("runs that keep all tensors cannot overlap")
