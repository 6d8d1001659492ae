"""Checks of constructor parameters, shared by every unit."""

import operator
from collections.abc import Collection
from typing import SupportsIndex, TypeVar

from rtl.wording import did_you_mean

__all__ = ["integer", "one_of"]

T = TypeVar("T")


def integer(name: str, value: SupportsIndex, low: int, high: int) -> int:
    """``value`` as a plain :class:`int` within ``low..high``.

    Raises :exc:`TypeError` for anything that is not an integer (``True``, ``4.0`` and ``"4"`` are
    not; NumPy's integers are) and :exc:`ValueError` for one out of range.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    value = operator.index(value)
    if not low <= value <= high:
        raise ValueError(f"{name} must be between {low} and {high}, not {value}")
    return value


def one_of(name: str, value: T, choices: Collection[T]) -> T:
    """``value``, if it is one of ``choices``; :exc:`ValueError` otherwise, which says what a name
    may have been meant for."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}, not {value!r}"
                         f"{did_you_mean(value, choices)}")
    return value
