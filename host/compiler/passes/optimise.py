"""All passes, one after the other."""

from host.compiler.passes.activations import fuse_activations
from host.compiler.passes.channels import remove_channels
from host.compiler.passes.constants import fold_constants
from host.compiler.passes.padding import fuse_padding
from host.compiler.passes.unused import drop_unused

__all__ = ["optimise"]


def optimise(graph):
    """``graph`` after all passes, each of which may make room for those after it."""
    for change in (fold_constants, fuse_padding, fuse_activations, remove_channels, drop_unused):
        graph = change(graph)
    return graph
