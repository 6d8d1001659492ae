"""Inputs of networks from files: arrays and images."""

from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from rtl.wording import joined

if TYPE_CHECKING:
    from systolith.runtime.session import TensorInfo

__all__ = ["load_image", "load_inputs", "noise"]

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}


def noise(inputs: Sequence["TensorInfo"], count: int, seed: int = 0) -> list[np.ndarray]:
    """``count`` random images for each of ``inputs``."""
    rng = np.random.default_rng(seed)
    return [_noise(rng, np.dtype(tensor.dtype), (count, *tensor.shape[1:])) for tensor in inputs]


def _noise(rng: np.random.Generator, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """Bytes of the whole range; of other types, numbers from 0 to 1 or, of integers, below 256."""
    if dtype.kind == "f":
        return rng.random(shape).astype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    limits = np.iinfo(dtype)
    low, high = (limits.min, limits.max + 1) if dtype.itemsize == 1 else (0, 256)
    return rng.integers(low, high, shape, dtype)


def load_inputs(inputs: Sequence["TensorInfo"], paths: Iterable[str | Path]) -> list[np.ndarray]:
    """An array (n, ...) for each of ``inputs``, the inputs of a network.

    A network of one input takes any number of files, one after the other; a network of several
    takes one file for each, in their order, or one .npz that has them all by name. A file is

    * .npy, or .npz of which one array alone suits: numbers of the input's type, or real ones, which
      are quantised; the first axis may be left out,
    * an image, resized to the input: brightness from 0 to 255 becomes the whole range of the
      input, -128 to 127 for int8.

    Raises :exc:`ValueError` that names the file and what is wrong with it.
    """
    files = [Path(path) for path in paths]
    if len(inputs) == 1:
        return [np.concatenate([_load(inputs[0], file) for file in files])]
    if len(files) == 1 and files[0].suffix == ".npz":
        return _as_many([(tensor.name, _load(tensor, files[0], tensor.name)) for tensor in inputs])
    if len(files) != len(inputs):
        names = ", ".join(tensor.name for tensor in inputs)
        raise ValueError(f"the network has {len(inputs)} inputs ({names}): give a file for each, "
                         f"or one .npz that has them by name, not {len(files)} files")
    return _as_many([(str(file), _load(tensor, file))
                     for tensor, file in zip(inputs, files, strict=True)])


def _as_many(loaded: list[tuple[str, np.ndarray]]) -> list[np.ndarray]:
    """The arrays of (name, array), which must have as many images each."""
    if len({len(x) for _, x in loaded}) > 1:
        raise ValueError("inputs must have as many images each, not " + joined(
            [f"{len(x)} in {name}" for name, x in loaded]))
    return [x for _, x in loaded]


def _load(tensor: "TensorInfo", path: Path, name: str | None = None) -> np.ndarray:
    if path.suffix.lower() in IMAGES:
        return _image(tensor, path)
    try:
        loaded = np.load(BytesIO(path.read_bytes()), allow_pickle=False)
    except (ValueError, EOFError, MemoryError, BadZipFile) as error:
        raise ValueError(f"{path} is neither an array that numpy.save wrote nor an image: "
                         f"{error}") from error
    if isinstance(loaded, np.ndarray):
        x = _suited(tensor, loaded)
        if x is None:
            raise ValueError(f"{path} must hold {_wanted(tensor)}, not {loaded.dtype} "
                             f"{loaded.shape}")
        return x
    if name is not None:
        if name not in loaded.files:
            raise ValueError(f"{path} has no array {name}, only {', '.join(loaded.files)}")
        found = loaded[f"{name}.npy"]  # of x and x.npy, the one that is meant
        x = _suited(tensor, found)
        if x is None:
            raise ValueError(f"{name} in {path} must be {_wanted(tensor)}, not "
                             f"{found.dtype} {found.shape}")
        return x
    try:
        suited = {key: x for key in loaded.files if (x := _suited(tensor, loaded[key])) is not None}
    except (ValueError, EOFError, BadZipFile) as error:
        raise ValueError(f"{path}: {error}") from error
    if len(suited) != 1:
        what = "more than one" if suited else "none"
        raise ValueError(f"{path} must hold one array of {_wanted(tensor)}; of its arrays "
                         f"({', '.join(loaded.files)}) {what} suits")
    return next(iter(suited.values()))


def _wanted(tensor: "TensorInfo") -> str:
    shape = ", ".join(map(str, ("n", *tensor.shape[1:])))
    return f"{tensor.dtype} or real inputs of the shape ({shape})"


def _suited(tensor: "TensorInfo", x: np.ndarray) -> np.ndarray | None:
    """``x`` as images of ``tensor``, or None if it is none of them."""
    if x.shape == tensor.shape[1:]:
        x = x[None]
    if x.shape[1:] != tensor.shape[1:] or x.ndim != len(tensor.shape) or not len(x):
        return None
    if x.dtype.kind == "f":
        return tensor.quantise(x)
    return x if x.dtype == tensor.dtype else None


def _image(tensor: "TensorInfo", path: Path) -> np.ndarray:
    first = len(tensor.shape) == 4 and tensor.shape[1] in {1, 3} and tensor.shape[3] not in {1, 3}
    shape = tensor.shape[2:] + tensor.shape[1:2] if first else tensor.shape[1:]
    if len(shape) != 3 or shape[2] not in {1, 3}:
        raise ValueError(f"{path}: the input {tensor.name} is of the shape {tensor.shape}, not an "
                         "image of 1 or 3 channels")
    pixels = load_image(path, *shape)[None]
    if first:
        pixels = np.moveaxis(pixels, -1, 1)
    return pixels if tensor.dtype == "uint8" else (pixels.astype(np.int16) - 128).astype(np.int8)


def load_image(path: Path, height: int, width: int, channels: int) -> np.ndarray:
    """The uint8 pixels (height, width, channels) of the image in a file, resized, in grey or in
    red, green and blue.

    Raises :exc:`ValueError` that names the file and what is wrong with it.
    """
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError as error:
        raise ValueError(f"{path}: reading images needs Pillow: pip install pillow") from error
    try:
        with Image.open(path) as image:
            if image.mode[0] in "IF":  # of which L would keep what is below 256
                raise ValueError(f"{path} has more than 8 bits a channel: save it with 8")
            image = ImageOps.exif_transpose(image)  # as it was held
            image = image.convert("RGB" if channels == 3 else "L").resize((width, height))
            return np.asarray(image).reshape(height, width, channels)
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} is not an image that can be read") from error
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        if getattr(error, "filename", None):  # it is not there, or may not be read
            raise
        raise ValueError(f"{path} is damaged, or too large an image: {error}") from error
