"""Files that are neither .tflite nor .onnx, by what is in them: what they are, and what to do."""

import zipfile
from pathlib import Path

__all__ = ["foreign"]

KERAS = ("make an int8 .tflite of it with TensorFlow's converter, by the recipe in "
         "docs/quantise.md, and then: systolith run model.tflite")
TORCH = ("export the network with torch.onnx.export(model, (x,), \"model.onnx\"), and then: "
         "systolith quantize model.onnx --calibrate DATA -o model.int8.onnx")

#: What files begin with, at which byte, what they then are, and what to do.
MARKS = (
    (0, b"\x89HDF\r\n\x1a\n", "a Keras network or its weights (HDF5)", KERAS),
    (0, b"\x08\x01\x12", "the graph of a SavedModel", "name the folder that it lies in"),
    (0, b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", "a PyTorch file of an old format", TORCH),
    (4, b"ORTM", "a network in onnxruntime's own format (.ort)",
     "take the .onnx that it was made of"),
    (8, b'{"', "weights alone (.safetensors)", TORCH),
    (0, b"version https://git-lfs", "a pointer of Git LFS, and not the file itself",
     "fetch that: git lfs pull"),
    (0, b"<!DOCTYPE html", "a web page, and not the file itself", "download that"),
    (0, b"<html", "a web page, and not the file itself", "download that"),
)


def foreign(path: Path) -> str | None:
    """What a file or folder is that is no model of ours, and what to do, as the end of a sentence
    about it; None if there is no telling.

    Raises :exc:`OSError` if it cannot be read.
    """
    if path.is_dir():
        if (path / "saved_model.pb").exists():
            return f"is a SavedModel of TensorFlow: {KERAS}"
        return "is a folder, which has no saved_model.pb: name a file"
    with path.open("rb") as file:
        begin = file.read(32)
    for at, mark, what, remedy in MARKS:
        if begin[at:at + len(mark)].lower() == mark.lower():
            return f"is {what}: {remedy}"
    return _archive(path) if begin[:4] == b"PK\x03\x04" else None


def _archive(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.rpartition("/")[2]: name for name in archive.namelist()}
    except zipfile.BadZipFile:
        return "is a damaged archive: fetch it again"
    if {"config.json", "metadata.json"} <= set(names):
        return f"is a Keras network (.keras): {KERAS}"
    if "constants.pkl" in names:
        return f"is a TorchScript network: {TORCH}"
    if "data.pkl" in names:
        return f"is a PyTorch file (.pt): {TORCH}"
    if any("exported_program" in name or name == "archive_format" for name in names):
        return f"is an exported PyTorch program (.pt2): {TORCH}"
    if names and all(name.endswith(".npy") for name in names):
        return "holds arrays of NumPy: name a network"
    models = sorted(name for name in names.values() if name.endswith((".tflite", ".onnx")))
    return f"is an archive: unpack {models[0]}, which is in it" if models else None
