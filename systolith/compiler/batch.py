"""The first axis of tensors, which is that of the images."""

from collections.abc import Iterable

from systolith.graph.ir import Graph

__all__ = ["check_batch", "check_states"]


def check_batch(graph: Graph, tensors: Iterable[int]) -> None:
    """Raise :exc:`ValueError` for one of the ``tensors`` that is not of a single image."""
    for tensor in tensors:
        shape, name = graph.tensors[tensor].shape, graph.tensors[tensor].name
        if shape[0] != 1:
            raise ValueError(f"tensor {tensor} ({name}) has the shape {shape}; the first axis is "
                             "that of the images, of which a network takes one at a time: "
                             "convert the model for a batch of 1")


def check_states(graph: Graph, batch: int) -> None:
    """Raise :exc:`ValueError` for several images at a time of a network that keeps states."""
    if graph.states and batch > 1:
        raise ValueError("the network keeps states, so that each image needs what the one before "
                         "it left: let the batch be 1")
