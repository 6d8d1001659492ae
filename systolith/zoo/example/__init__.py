"""An example to begin with: networks that read digits, float and int8, and inputs for them."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import numpy as np

from systolith.zoo.digits import held_out, model_bytes, training

__all__ = ["FILES", "write_example"]

#: What is written, and what it is. ``digits.onnx`` is a CNN that was trained in PyTorch with
#: :func:`~systolith.zoo.digits.training`.
FILES: Mapping[str, str] = {
    "digits.tflite": "an int8 network",
    "digits.npy": "inputs for it",
    "digits.onnx": "a float network, as PyTorch exports it",
    "calibration.npz": "inputs to quantise it with",
    "test.npz": "inputs that it has never seen, and their labels",
}


def write_example(folder: Path) -> None:
    """Write :data:`FILES` into a folder, which is made if it is not there.

    Raises :exc:`ValueError` rather than overwrite a file.
    """
    for name in FILES:
        if (folder / name).exists():
            raise ValueError(f"{folder / name} is there already: name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    seen, unseen = training(), held_out()
    (folder / "digits.tflite").write_bytes(model_bytes())
    (folder / "digits.onnx").write_bytes(
        resources.files(__package__).joinpath("digits.onnx").read_bytes())
    np.save(folder / "digits.npy", unseen.images[:100])
    np.savez_compressed(folder / "calibration.npz",
                        image=seen.real[:200].transpose(0, 3, 1, 2))
    np.savez_compressed(folder / "test.npz", image=unseen.real.transpose(0, 3, 1, 2),
                        labels=unseen.labels)
