"""All passes, one after the other."""

from collections.abc import Callable, Iterator

from systolith.compiler.passes.absorb_inputs import absorb_input_reshapes
from systolith.compiler.passes.dead_channels import remove_dead_channels
from systolith.compiler.passes.dead_operators import remove_dead_operators
from systolith.compiler.passes.fold_constants import fold_constants
from systolith.compiler.passes.fold_movements import fold_movements
from systolith.compiler.passes.fuse_activations import fuse_activations
from systolith.compiler.passes.fuse_dilation import fuse_dilation
from systolith.compiler.passes.fuse_padding import fuse_padding
from systolith.compiler.passes.merge_movements import merge_movements
from systolith.compiler.passes.sink_movements import sink_movements
from systolith.graph.ir import Graph
from systolith.graph.verify import verify

__all__ = ["PASSES", "optimise", "optimise_in_steps"]

#: In their order: each may make room for those after it. None changes a byte of a result.
PASSES: tuple[Callable[[Graph], Graph], ...] = (
    absorb_input_reshapes, fold_constants, fuse_dilation, sink_movements, merge_movements,
    fold_movements, fuse_padding, fuse_activations, remove_dead_channels, remove_dead_operators)


def optimise_in_steps(graph: Graph, keep: bool = False) -> Iterator[tuple[str, Graph]]:
    """The name of each pass, and the graph that it leaves, which is verified.

    With ``keep`` every tensor stays that an operator computes: only inputs change.
    """
    verify(graph)
    for change in PASSES[:1] if keep else PASSES:
        name = change.__name__
        graph = verify(change(graph), f"the graph after {name}")
        yield name, graph


def optimise(graph: Graph, keep: bool = False) -> Graph:
    """``graph`` after all passes."""
    *_, (_, optimised) = optimise_in_steps(graph, keep)
    return optimised
