"""All passes, one after the other."""

from systolith.compiler.passes.dead_channels import remove_dead_channels
from systolith.compiler.passes.dead_operators import remove_dead_operators
from systolith.compiler.passes.fold_constants import fold_constants
from systolith.compiler.passes.fuse_activations import fuse_activations
from systolith.compiler.passes.fuse_padding import fuse_padding

__all__ = ["optimise"]


def optimise(graph):
    """``graph`` after all passes, each of which may make room for those after it."""
    for change in (fold_constants, fuse_padding, fuse_activations,
                   remove_dead_channels, remove_dead_operators):
        graph = change(graph)
    return graph
