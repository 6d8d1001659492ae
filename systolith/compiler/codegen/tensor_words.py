"""Tensors as the words of their regions, and back."""

import numpy as np

from systolith.compiler.codegen.program import Program

__all__ = ["input_words"]


def input_words(program: Program, tensor: int, x: np.ndarray) -> np.ndarray:
    """Words (count, word_bytes) of all images ``x`` of a tensor, to write from its region's first
    word on."""
    region = program.regions[tensor]
    if plan := program.inputs.get(tensor):
        # A plan is of one image, or of all, one below the other.
        lines = plan.layer.shape.height * plan.layer.shape.width // region.width
        return np.concatenate([plan.words(part[None]) for part in x.reshape(
            -1, lines, region.width, region.channels)])
    images = x.reshape(-1, region.height, region.width, region.channels)
    filled = np.pad(images, ((0, 0), (0, 0), (0, 0), (0, region.filled - region.channels)))
    return filled.reshape(-1, region.word_bytes)
