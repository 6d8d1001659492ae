"""Systolith: quantised networks on small FPGAs, bit for bit as their runtime computes them."""

from rtl import __version__

__all__ = ["Session", "__version__"]  # noqa: F822


def __getattr__(name):
    # Not before it is wanted: the command line starts without NumPy.
    if name == "Session":
        from systolith.runtime.session import Session

        return Session
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
