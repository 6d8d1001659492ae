"""Systolith: quantised networks on small FPGAs, bit for bit as their runtime computes them."""

from typing import TYPE_CHECKING

from rtl import __version__

if TYPE_CHECKING:
    from systolith.runtime.session import Session

__all__ = ["Session", "__version__"]


def __getattr__(name: str) -> object:
    # Not before it is wanted: the command line starts without NumPy.
    if name == "Session":
        from systolith.runtime.session import Session

        return Session
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
