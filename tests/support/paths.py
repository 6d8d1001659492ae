"""Where things are that tests read."""

from pathlib import Path

__all__ = ["MODELS", "OWN", "ROOT", "ZOO"]

ROOT = Path(__file__).parents[2]

#: Networks that are no part of the project; tests of them are skipped where they are absent.
MODELS = ROOT.parent / "shared" / "models"
ZOO = ROOT.parent / "shared" / "zoo"

#: Small networks as exporters and converters write them: of PyTorch by its exporter of today
#: (``torch_dynamo``) and the one before (``torch_script``), of Keras by the recipe in
#: docs/quantise.md (``keras_cnn``), and .tflite files of every kind that is not int8.
OWN = Path(__file__).parent / "models"
