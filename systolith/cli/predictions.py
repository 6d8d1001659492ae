"""What a network says of its images, where its outputs are scores of classes."""

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from systolith.cli.show import Table
    from systolith.graph.ir import Graph
    from systolith.runtime.session import TensorInfo

__all__ = ["class_count", "predictions"]

#: Classes that are told of an image, and images that they are told of.
CLASSES, IMAGES = 5, 10
#: Operators that leave scores what they are.
KEPT = {"RESHAPE", "QUANTIZE"}
RANKS = ("first", "second", "third", "fourth", "fifth")

#: Gives the labels of so many classes, or None.
Labels = Callable[[int], Sequence[str] | None]


def class_count(graph: "Graph", index: int, labels: Labels) -> int:
    """How many classes the output ``index`` of a graph has a score for each of; 0 if it is no
    vector of scores. It is one by a softmax over all of it, or by labels, of which
    ``labels(count)`` are those of the model or None."""
    shape = graph.tensors[index].shape[1:]
    count = prod(shape)
    if count < 2 or max(shape) != count:
        return 0
    makers = {operator.outputs[0]: operator for operator in graph.operators}
    maker = makers.get(index)
    while maker is not None and maker.kind in KEPT:
        maker = makers.get(maker.inputs[0])
    softmax = maker is not None and maker.kind == "SOFTMAX" and (
        graph.result(maker).shape[-1] == count)
    return count if softmax or labels(count) else 0


def predictions(graph: "Graph", tensors: Sequence["TensorInfo"], outputs: Sequence["np.ndarray"],
                labels: Labels, of: str = "image") -> Iterator["Table"]:
    """A :class:`~systolith.cli.show.Table` for each output that is scores of classes.

    ``tensors`` tell what its numbers mean, ``outputs`` (n, ...) are those; ``of`` is what they are
    predictions of.
    """
    for index, tensor, y in zip(graph.own_outputs, tensors, outputs, strict=True):
        if count := class_count(graph, index, labels):
            names = labels(count) or [f"class {number}" for number in range(count)]
            name = f" by {tensor.name}" if len(outputs) > 1 else ""
            yield _table(f"Predictions{name}", names, tensor.dequantise(y).reshape(len(y), -1), of)


def _table(title: str, names: Sequence[str], scores: "np.ndarray", of: str) -> "Table":
    from rtl.wording import counted
    from systolith.cli.show import Table

    ranked = [_ranked(names, row.tolist()) for row in scores[:IMAGES]]
    if len(scores) == 1:
        view = Table(title, "class", "score")
        for cells in ranked[0]:
            view.add_row(*cells)
        return view
    if len(scores) > IMAGES:
        title += f": {IMAGES} of {counted(len(scores), of)}; --output has all"
    ranks = RANKS[:max(map(len, ranked))]
    view = Table(title, of, *ranks, text=ranks, drop=ranks[:0:-1])
    for number, row in enumerate(ranked, 1):
        view.add_row(str(number), *map(" ".join, row))
    return view


def _ranked(names: Sequence[str], scores: Sequence[float]) -> list[tuple[str, str]]:
    """(name, score) of the best classes; those without any share of a softmax are none."""
    order = sorted(range(len(scores)), key=lambda index: -scores[index])[:CLASSES]
    if min(scores) >= 0:
        order = order[:1] + [index for index in order[1:] if scores[index]]
    return [(names[index], f"{scores[index]:.3f}") for index in order]
