"""Everything on the host: importers, the compiler, drivers, sessions, the command line."""

__all__ = ["Session"]  # noqa: F822


def __getattr__(name):
    # Not before it is wanted: the command line starts without NumPy.
    if name == "Session":
        from host.session import Session

        return Session
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
