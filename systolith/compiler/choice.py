"""Whether the inputs of a program are compact: as its target would have it, or else the other way
round, if only that fits."""

from collections.abc import Callable
from typing import TypeVar

from rtl.accelerator import AcceleratorParams
from systolith.compiler.codegen.program import Program
from systolith.compiler.compile import compile_graph
from systolith.graph.ir import Graph

__all__ = ["chosen", "program_of", "session_program"]

T = TypeVar("T")


def chosen(work: Callable[[bool], T], compact: bool = False) -> T:
    """``work(compact)``, or, if that raises :exc:`ValueError`, ``work(not compact)``; the first
    error, if both do."""
    try:
        return work(compact)
    except ValueError as error:
        try:
            return work(not compact)
        except ValueError:
            raise error from None


def program_of(graph: Graph, params: AcceleratorParams, keep: bool = False, batch: int = 1,
               compact: bool = False) -> Program:
    """The program of ``graph`` for one run after the other, as of
    :func:`~systolith.compiler.compile_graph`, partitioned if need be."""
    return chosen(lambda compact: compile_graph(graph, params, keep, batch, compact=compact,
                                                partition=True), compact)


def session_program(graph: Graph, params: AcceleratorParams, keep: bool = False, batch: int = 1, *,
                    overlap: bool = True, compact: bool = False,
                    partition: bool = True) -> tuple[Program, str]:
    """The program of a session on a build, and why its runs do not overlap if they do not; which
    some targets cannot. ``partition`` is as of :func:`~systolith.compiler.compile_graph`."""
    def program(compact: bool) -> tuple[Program, str]:
        if keep:
            alone = "all tensors are kept"
        elif not overlap:
            alone = "the target does one run at a time"
        else:
            try:
                return compile_graph(graph, params, batch=batch, double_buffered=True,
                                     compact=compact, partition=partition), ""
            except ValueError as error:  # of a network that fits once, nothing else
                alone = str(error)
        return compile_graph(graph, params, keep, batch, compact=compact,
                             partition=partition), alone

    return chosen(program, compact)
