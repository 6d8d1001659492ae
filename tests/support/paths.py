"""Where things are that tests read."""

from pathlib import Path

__all__ = ["MODELS", "ROOT", "ZOO"]

ROOT = Path(__file__).parents[2]

#: Networks that are no part of the project; tests of them are skipped where they are absent.
MODELS = ROOT.parent / "shared" / "models"
ZOO = ROOT.parent / "shared" / "zoo"
