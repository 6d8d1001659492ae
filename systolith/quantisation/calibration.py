"""Examples of inputs, for the quantiser to see which numbers occur."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from rtl.wording import joined
from sim.golden.types import Float32

__all__ = ["IMAGES", "Examples", "Pixels", "images_in", "read_examples"]

#: Suffixes of the images in a folder.
IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """What a model was trained with makes of pixels ``p`` of 0 to 255: ``(p - mean) / scale``, by
    channel or for all. ``layout`` is that of the model, ``"nchw"`` or ``"nhwc"``; by default, what
    the shape of its input says."""

    mean: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (255.0,)
    layout: str | None = None

    def real(self, images: np.ndarray) -> Float32:
        """float32 of ``images`` (..., channels)."""
        mean, scale = (np.array(each, np.float32) for each in (self.mean, self.scale))
        return (images.astype(np.float32) - mean) / scale

    def channels_first(self, name: str, shape: tuple[int, ...]) -> bool:
        """Whether an input of ``shape`` is (n, c, h, w) rather than (n, h, w, c)."""
        if len(shape) != 4:
            raise ValueError(f"the input {name} is of the shape {shape}, which is no image")
        first, last = shape[1] in {1, 3, 4}, shape[3] in {1, 3, 4}
        if self.layout is None and first == last:
            raise ValueError(f"the input {name} is of the shape {shape}, which does not say where "
                             "its channels are: give --layout nchw or nhwc")
        return self.layout == "nchw" if self.layout else first


class Examples(Sequence[dict[str, Float32]]):
    """Inputs of a model by name, which are read or computed when they are asked for.

    At the most ``most`` of the ``total`` that there are, evenly spread, as they are often sorted by
    class: ``indices`` has their numbers.
    """

    def __init__(self, sources: Mapping[str, "_Array | _Folder"], most: int) -> None:
        self.total = min(map(len, sources.values()))
        self._sources, self.indices = sources, range(0, self.total, math.ceil(self.total / most))

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        at = self.indices[index]
        return {name: source.one(at) for name, source in self._sources.items()}


def read_examples(path: Path, shapes: Shapes, pixels: Pixels, most: int) -> Examples:
    """Those in a .npy or .npz file, or in a folder of images and the folders within it, ``most`` of
    them at the most, for inputs of ``shapes``, whose first axis is that of the images.

    Real numbers are taken as they are, and those of uint8 as pixels. Images with channels last are
    transposed for a model that has them first, and the other way round, if only so they fit.

    Raises :exc:`ValueError` that names the file and what is wrong with it.
    """
    if path.is_dir():
        if len(shapes) != 1:
            raise ValueError(f"the model has {len(shapes)} inputs ({', '.join(shapes)}): give one "
                             f".npz that has them by name, not the folder {path}")
        (name, shape), = shapes.items()
        return Examples({name: _Folder.of(path, name, shape, pixels)}, most)
    arrays = _arrays(path, shapes)
    sources = {name: _Array.of(path, name, arrays[name], shape, pixels)
               for name, shape in shapes.items()}
    if len({*map(len, sources.values())}) > 1:
        raise ValueError(f"{path}: inputs must have as many images each, not " + joined(
            [f"{len(source)} of {name}" for name, source in sources.items()]))
    return Examples(sources, most)


def images_in(path: Path) -> Sequence[Path]:
    """The images in a folder and the folders within it, in the order of their names."""
    return sorted(each for each in path.rglob("*") if each.suffix.lower() in IMAGES)


def _arrays(path: Path, shapes: Shapes) -> Mapping[str, np.ndarray]:
    """An array for each input, by name."""
    try:
        # A large array stays in its file until an image of it is asked for.
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            found = {"": loaded}
        else:
            with loaded:
                wanted = set(shapes) & set(loaded.files)
                found = {name: loaded[name]
                         for name in (wanted if len(wanted) == len(shapes) else loaded.files)}
    except (ValueError, EOFError, MemoryError, BadZipFile) as error:
        raise ValueError(f"{path} is neither an array that numpy.save wrote nor a folder of "
                         f"images: {error}") from error
    if set(found) == set(shapes):
        return found
    if len(shapes) > 1:
        raise ValueError(f"{path} must have an array for each input ({', '.join(shapes)}), by its "
                         f"name, not {', '.join(found) or 'none'}")
    (name, shape), = shapes.items()
    suited = [array for array in found.values() if _transposition(array, shape) is not None]
    if len(suited) != 1:
        rest = ", ".join(map(str, shape[1:]))
        what = "; ".join(f"{key} {each.shape}".strip() for key, each in found.items())
        raise ValueError(f"{path} must hold one array (n, {rest}) for the input {name}, not "
                         f"{what or 'none'}")
    return {name: suited[0]}


def _transposition(array: np.ndarray, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The axes of ``array`` in the order of ``shape``, the first of which is that of the images; or
    None if it is of another shape."""
    for axes in ((0, 1, 2, 3), (0, 3, 1, 2), (0, 2, 3, 1)) if len(shape) == 4 else (
            tuple(range(len(shape))),):
        if array.ndim == len(shape) and len(array) >= shape[0] and tuple(
                array.shape[axis] for axis in axes[1:]) == shape[1:]:
            return axes
    return None


@dataclass(frozen=True)
class _Array:
    """Images of an array, ``axes`` of which are in the order of the model."""

    array: np.ndarray
    batch: int
    axes: tuple[int, ...]
    pixels: Pixels | None
    channels: int

    @classmethod
    def of(cls, path: Path, name: str, array: np.ndarray, shape: tuple[int, ...],
           pixels: Pixels) -> "_Array":
        axes = _transposition(array, shape)
        if axes is None:
            rest = ", ".join(map(str, shape[1:]))
            raise ValueError(f"{path}: {name} must be of the shape (n, {rest}), not {array.shape}")
        if array.dtype.kind == "f":
            return cls(array, shape[0], axes, None, 0)
        if array.dtype != np.uint8:
            raise ValueError(f"{path}: {name} must be real numbers, or pixels of uint8, not "
                             f"{array.dtype}")
        channels = axes[1 if pixels.channels_first(name, shape) else 3]
        return cls(array, shape[0], axes, pixels, channels)

    def __len__(self) -> int:
        return len(self.array) // self.batch

    def one(self, index: int) -> Float32:
        images = np.asarray(self.array[index * self.batch:(index + 1) * self.batch])
        if self.pixels is None:
            images = images.astype(np.float32)
            if not np.isfinite(images).all():
                raise ValueError(f"example {index} has numbers that are not finite: NaN or "
                                 "infinity")
        else:
            images = np.moveaxis(self.pixels.real(np.moveaxis(images, self.channels, -1)), -1,
                                 self.channels)
        return np.ascontiguousarray(images.transpose(self.axes))


@dataclass(frozen=True)
class _Folder:
    """Images in files, which are read when they are asked for."""

    files: Sequence[Path]
    batch: int
    size: tuple[int, int, int]
    first: bool
    pixels: Pixels

    @classmethod
    def of(cls, path: Path, name: str, shape: tuple[int, ...],
           pixels: Pixels) -> "_Folder":
        first = pixels.channels_first(name, shape)
        channels, height, width = shape[1:] if first else (shape[3], shape[1], shape[2])
        if channels not in {1, 3}:
            raise ValueError(f"the input {name} has {channels} channels, and images have 1 or 3: "
                             "give arrays")
        files = images_in(path)
        if len(files) < shape[0]:
            raise ValueError(f"{path} has no images ({joined(sorted(IMAGES), 'or')})")
        return cls(files, shape[0], (height, width, channels), first, pixels)

    def __len__(self) -> int:
        return len(self.files) // self.batch

    def one(self, index: int) -> Float32:
        from systolith.runtime.input_files import load_image

        images = np.stack([load_image(file, *self.size)
                           for file in self.files[index * self.batch:(index + 1) * self.batch]])
        real = self.pixels.real(images)
        return np.ascontiguousarray(np.moveaxis(real, -1, 1) if self.first else real)
