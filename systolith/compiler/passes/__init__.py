"""Changes of a graph that leave every byte of its results as it is."""

from systolith.compiler.passes.absorb_inputs import absorb_input_reshapes
from systolith.compiler.passes.dead_channels import remove_dead_channels
from systolith.compiler.passes.dead_operators import remove_dead_operators
from systolith.compiler.passes.fold_constants import fold_constants
from systolith.compiler.passes.fold_movements import fold_movements
from systolith.compiler.passes.fuse_activations import fuse_activations
from systolith.compiler.passes.fuse_dilation import fuse_dilation
from systolith.compiler.passes.fuse_padding import fuse_padding
from systolith.compiler.passes.merge_movements import merge_movements
from systolith.compiler.passes.optimise import PASSES, optimise, optimise_in_steps
from systolith.compiler.passes.sink_movements import sink_movements

__all__ = ["PASSES", "absorb_input_reshapes", "fold_constants", "fold_movements",
           "fuse_activations",
           "fuse_dilation", "fuse_padding", "merge_movements", "optimise", "optimise_in_steps",
           "remove_dead_channels", "remove_dead_operators", "sink_movements"]
