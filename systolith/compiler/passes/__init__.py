"""Changes of a graph that leave every byte of its results as it is."""

from systolith.compiler.passes.absorb_inputs import absorb_input_reshapes
from systolith.compiler.passes.dead_channels import remove_dead_channels
from systolith.compiler.passes.dead_operators import remove_dead_operators
from systolith.compiler.passes.fold_constants import fold_constants
from systolith.compiler.passes.fuse_activations import fuse_activations
from systolith.compiler.passes.fuse_padding import fuse_padding
from systolith.compiler.passes.optimise import optimise

__all__ = ["remove_dead_operators", "fold_constants", "fuse_activations", "fuse_padding",
           "optimise",
           "remove_dead_channels", "absorb_input_reshapes"]
