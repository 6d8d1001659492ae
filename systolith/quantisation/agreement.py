"""How well the outputs of an int8 network agree with labels and with those of the float one."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sim.golden.types import Float32

__all__ = ["Agreement", "Evaluation", "Input", "evaluated"]

Labels = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Of one output with that of the float network, over all inputs: the share of inputs for which
    both have the same largest class, :data:`None` where it has none; the mean and the largest
    difference of its numbers; and the ratio of signal to quantisation noise in decibels,
    :data:`None` where there is no noise."""

    name: str
    same_class: float | None
    mean_error: float
    largest_error: float
    sqnr: float | None


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input, by its number: classes by its label and by either network, :data:`None` where
    there is none, and by how much it is off: the largest difference from the float network, or, of
    one that is classified wrongly, the score of its class over that of the label."""

    index: int
    label: int | None
    int8_class: int | None
    float_class: int | None
    error: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Accuracies are shares of ``count`` inputs, :data:`None` without labels; ``agreement`` is one
    for each output, none without a float network; ``worst`` begins with the worst input."""

    count: int
    accuracy: float | None
    float_accuracy: float | None
    agreement: tuple[Agreement, ...]
    worst: tuple[Input, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def evaluated(names: Sequence[str], indices: Sequence[int], outputs: Sequence[Float32],
              real: Sequence[Float32] | None, labels: Labels | None, worst: int) -> Evaluation:
    """The :class:`Evaluation` of ``outputs`` (n, ...) of an int8 network and, if there is one,
    ``real`` ones of a float network, for inputs of the numbers ``indices`` with ``labels`` (n,).

    Raises :exc:`ValueError` where these do not go together.
    """
    if real is not None:
        real = [_alike(name, y, of) for name, y, of in zip(names, outputs, _as_many(
            names, real), strict=True)]
    scores = _scores(outputs)
    float_scores = None if real is None else _scores(real)
    if labels is not None:
        if scores is None:
            raise ValueError("there are labels, but no output has a score for each class")
        if labels.min() < 0 or labels.max() >= scores.shape[1]:
            raise ValueError(f"labels must be between 0 and {scores.shape[1] - 1}, as the network "
                             f"has {scores.shape[1]} classes, not {labels.min()} to {labels.max()}")
    return Evaluation(
        count=len(indices), accuracy=_accuracy(scores, labels),
        float_accuracy=_accuracy(float_scores, labels),
        agreement=() if real is None else tuple(map(_agreement, names, outputs, real)),
        worst=_worst(indices, outputs, real, scores, float_scores, labels, worst))


def _as_many(names: Sequence[str], real: Sequence[Float32]) -> Sequence[Float32]:
    if len(real) != len(names):
        raise ValueError(f"the float network has {len(real)} outputs, and the int8 one "
                         f"{len(names)}: it is another network")
    return real


def _alike(name: str, y: Float32, real: Float32) -> Float32:
    if real.size != y.size:
        raise ValueError(f"output {name} of the float network is of the shape {real.shape}, and of "
                         f"the int8 one {y.shape}: it is another network")
    return real.reshape(y.shape)


def _scores(outputs: Sequence[Float32]) -> Float32 | None:
    """The first output that has a score for each class, as (n, classes)."""
    return next((y.reshape(len(y), -1) for y in outputs if _classifies(y)), None)


def _classifies(y: Float32) -> bool:
    return max(y.shape[1:], default=1) == math.prod(y.shape[1:]) > 1


def _accuracy(scores: Float32 | None, labels: Labels | None) -> float | None:
    if scores is None or labels is None:
        return None
    return float((scores.argmax(axis=1) == labels).mean())


def _agreement(name: str, y: Float32, real: Float32) -> Agreement:
    error = np.abs(y.astype(np.float64) - real)
    noise, signal = float((error ** 2).sum()), float((real.astype(np.float64) ** 2).sum())
    same = None
    if _classifies(y):
        classes = [each.reshape(len(each), -1).argmax(axis=1) for each in (y, real)]
        same = float((classes[0] == classes[1]).mean())
    return Agreement(
        name=name, same_class=same, mean_error=float(error.mean()),
        largest_error=float(error.max()),
        sqnr=10 * math.log10(signal / noise) if noise and signal else None)


def _worst(indices: Sequence[int], outputs: Sequence[Float32], real: Sequence[Float32] | None,
           scores: Float32 | None, float_scores: Float32 | None, labels: Labels | None,
           most: int) -> tuple[Input, ...]:
    count = len(indices)
    if real is not None:
        errors = np.max([np.abs(y - of).reshape(count, -1).max(axis=1)
                         for y, of in zip(outputs, real, strict=True)], axis=0)
    elif scores is not None and labels is not None:
        errors = scores.max(axis=1) - scores[np.arange(count), labels]
    else:
        return ()
    order = [int(at) for at in np.argsort(-errors, kind="stable")[:most] if errors[at] > 0]
    return tuple(Input(
        index=indices[at], label=None if labels is None else int(labels[at]),
        int8_class=None if scores is None else int(scores[at].argmax()),
        float_class=None if float_scores is None else int(float_scores[at].argmax()),
        error=float(errors[at])) for at in order)
