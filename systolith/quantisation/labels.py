"""Classes of examples, as they are written beside them."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from systolith.quantisation.calibration import Examples, images_in

__all__ = ["NAMES", "read_classes"]

#: What arrays of classes are called.
NAMES = ("labels", "label", "y", "targets", "classes")


def read_classes(path: Path, examples: Examples,
                 name: str | None = None) -> npt.NDArray[np.int64] | None:
    """The class of each of the ``examples``, which were read from ``path``; None if nothing says.

    Of an .npz, integers (n,) that are called ``name``, or one of :data:`NAMES`; of a folder, the
    number of the folder within it that an image lies in, in the order of their names.

    Raises :exc:`ValueError` for what are no classes, or if there is no such ``name``.
    """
    found = _of_folder(path) if path.is_dir() else _of_file(path, name)
    if found is None:
        if name is not None:
            raise ValueError(f"{path} has no array {name}")
        return None
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.dtype.kind not in "iu" or found.shape != (examples.total,):
        raise ValueError(f"{path}: labels must be integers of the shape ({examples.total},), one "
                         f"for each input, not {found.dtype} {found.shape}")
    return found[np.array(examples.indices)].astype(np.int64)


def _of_folder(path: Path) -> npt.NDArray[np.int64] | None:
    folders = [file.relative_to(path).parts[:-1] for file in images_in(path)]
    if not all(folders):
        return None
    names = sorted({parts[0] for parts in folders})
    return np.array([names.index(parts[0]) for parts in folders])


def _of_file(path: Path, name: str | None) -> npt.NDArray[np.generic] | None:
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return None
        with loaded:
            names = [each for each in (NAMES if name is None else (name,)) if each in loaded.files]
            return loaded[names[0]] if names else None
    except (ValueError, EOFError, BadZipFile) as error:
        raise ValueError(f"{path}: {error}") from error
