"""Files that commands read and write: arrays, images, folders."""

import os
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from zipfile import BadZipFile, ZipFile

from rtl.wording import joined

if TYPE_CHECKING:
    import numpy as np

__all__ = ["check_folder", "check_image", "check_target", "load", "save",
           "save_npz", "writing"]

#: Suffixes of images that can be drawn.
DRAWN = ".png", ".svg", ".pdf"


def load(path: Path) -> "np.ndarray":
    """The array in a file that :func:`numpy.save` wrote."""
    import numpy as np

    try:
        array = np.load(BytesIO(path.read_bytes()), allow_pickle=False)
    except (ValueError, EOFError, MemoryError, BadZipFile) as error:
        raise ValueError(f"{path} is not an array that numpy.save wrote: {error}") from error
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{path} holds several arrays; save one with numpy.save")
    return array


def check_target(path: Path, *, parents: bool = False,
                 inputs: Iterable[Path | None] = ()) -> None:
    """Refuse, before any work is done, a file that could not be written after it, or is one of the
    ``inputs``.

    With ``parents`` the folders that it lies in are still to be made.
    """
    if any(each is not None and each.exists() and path.exists() and path.samefile(each)
           for each in inputs):
        raise ValueError(f"{path} is an input, which would be lost: name another file")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file")
    if not parents and not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}")
    if not path.exists():
        check_folder(path.parent)
    elif not os.access(path, os.W_OK):
        raise ValueError(f"{path} may not be written; name another file")


def check_folder(path: Path) -> None:
    """Refuse, before any work is done, a folder that could not be made or filled after it."""
    while not path.exists():
        path = path.parent
    if not path.is_dir():
        raise ValueError(f"{path} is a file; name a folder")
    if not os.access(path, os.W_OK | os.X_OK):
        raise ValueError(f"nothing may be written into {path}; name another folder")


def check_image(path: Path) -> None:
    """Refuse, before any work is done, an image that could not be written after it, or of a
    kind that is not drawn."""
    check_target(path)
    if path.suffix.lower() not in DRAWN:
        raise ValueError(f"{path}: an image is {joined(DRAWN, 'or')}, by its suffix")


@contextmanager
def writing(path: Path) -> Generator[None, None, None]:
    """Name ``path`` in what goes wrong meanwhile: a full disk does not say which file was cut."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def save_npz(file: BinaryIO, arrays: Mapping[str, "np.ndarray"]) -> None:
    """Write ``arrays`` as :func:`numpy.savez` does, but of any names."""
    import numpy as np

    with ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def save(path: Path, array: "np.ndarray") -> None:
    """Write ``array`` to ``path``, whatever that is called."""
    import numpy as np

    with writing(path), path.open("wb") as file:
        np.save(file, array)
