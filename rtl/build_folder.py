"""The folder of build products: compiled simulators, netlists, reports."""

import os
from pathlib import Path

__all__ = ["build_folder"]

_ROOT = Path(__file__).parents[1]


def build_folder(name: str) -> Path:
    """``build/name`` of a checkout; of an installed package, in the user's cache."""
    if _ROOT.joinpath("pyproject.toml").exists():
        return _ROOT / "build" / name
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "systolith" / name
