"""Checks of constructor parameters, shared by every unit.

What cannot work is refused where it is written down: in the constructor, before anything is
elaborated, and for every platform alike. Each check takes the name of a parameter and its value,
and returns the value to keep: for integers a plain :class:`int`, even if NumPy's was given. It
raises

* :exc:`TypeError` if the value is of the wrong type, whatever it would compare equal to: ``4.0``,
  ``"4"`` and ``True`` are not integers, and 1 is not a boolean;
* :exc:`ValueError` if the type is right, but this value cannot work.

The message is "NAME must be ..., not VALUE". A limit that ties two parameters together is checked
once both are known, and its message names the one to change.
"""

import numbers
import operator
from collections.abc import Collection
from typing import Any, SupportsIndex, TypeVar

from rtl.wording import did_you_mean

__all__ = ["boolean", "divisor", "integer", "number", "of_type", "one_of", "pair", "power_of_two",
           "shape"]

T = TypeVar("T")


def _index(name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    return operator.index(value)


def integer(name: str, value: SupportsIndex, low: int, high: int) -> int:
    """``value`` as a plain :class:`int` within ``low..high``."""
    value = _index(name, value)
    if not low <= value <= high:
        raise ValueError(f"{name} must be between {low} and {high}, not {value}")
    return value


def power_of_two(name: str, value: SupportsIndex, low: int, high: int) -> int:
    """As :func:`integer`, but a power of two, or 0 if ``low`` is 0."""
    value = integer(name, value, low, high)
    if value & (value - 1):
        raise ValueError(f"{name} must be {'0 or ' if low == 0 else ''}a power of two, not {value}")
    return value


def divisor(name: str, value: SupportsIndex, whole: int, what: str) -> int:
    """As :func:`integer`, but a divisor of ``whole``, which is the number of ``what``."""
    value = integer(name, value, 1, whole)
    if whole % value:
        raise ValueError(f"{name} must divide the {whole} {what}, not be {value}")
    return value


def number(name: str, value: T, low: float, high: float) -> T:
    """``value``, any real number within ``low..high``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not low <= value <= high:  # nor is NaN
        raise ValueError(f"{name} must be between {low} and {high}, not {value!r}")
    return value


def boolean(name: str, value: bool) -> bool:
    """``value``, which is ``True`` or ``False``."""
    return of_type(name, value, bool, "a boolean")


def one_of(name: str, value: T, choices: Collection[T]) -> T:
    """``value``, if it is one of ``choices``, which are all integers or all strings; the error says
    what a name may have been meant for."""
    known = ", ".join(map(str, choices))
    if all(isinstance(choice, int) for choice in choices):
        number_ = _index(name, value)
        if number_ not in choices:
            raise ValueError(f"{name} must be one of {known}, not {value!r}")
        return next(choice for choice in choices if choice == number_)
    if not isinstance(value, str):
        raise TypeError(f"{name} must be one of {known}, not {value!r}")
    if value not in choices:
        raise ValueError(f"{name} must be one of {known}, not {value!r}"
                         f"{did_you_mean(value, choices)}")
    return value


def of_type(name: str, value: Any, kind: type[T], called: str | None = None) -> T:
    """``value``, an instance of the class ``kind``, which the message calls ``called``."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {called or kind.__name__}, not {value!r}")
    return value


def pair(name: str, value: Any) -> tuple[Any, Any]:
    """``value`` as a tuple of two; what they are is for the caller to check."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{name} must be a pair, not {value!r}")
    if len(value) != 2:
        raise ValueError(f"{name} must be a pair, not {value!r}")
    return tuple(value)


def shape(name: str, value: T) -> T:
    """``value``, if it is like an Amaranth shape."""
    from amaranth.hdl import Shape  # here, as programs that build nothing check parameters too

    try:
        Shape.cast(value)
    except TypeError:
        raise TypeError(f"{name} must be a shape, not {value!r}") from None
    return value
