"""Changes of a graph that leave every byte of its results as it is."""

from host.compiler.passes.activations import fuse_activations
from host.compiler.passes.channels import remove_channels
from host.compiler.passes.constants import fold_constants
from host.compiler.passes.inputs import write_inputs
from host.compiler.passes.optimise import optimise
from host.compiler.passes.padding import fuse_padding
from host.compiler.passes.unused import drop_unused

__all__ = ["drop_unused", "fold_constants", "fuse_activations", "fuse_padding", "optimise",
           "remove_channels", "write_inputs"]
