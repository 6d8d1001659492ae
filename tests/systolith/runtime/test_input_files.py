"""Inputs from files: arrays, archives, images; and what is refused."""

import re
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from systolith.runtime.input_files import load_inputs, noise
from systolith.runtime.session import TensorInfo

END = TensorInfo(name="x", shape=(1, 4, 3, 1), dtype="int8", scale=0.5, zero_point=-3,
                 rounding="float32")
COLOUR = TensorInfo(name="y", shape=(1, 3, 4, 2), dtype="uint8", scale=1.0, zero_point=0,
                    rounding="float32")
X = np.arange(24, dtype=np.int8).reshape(2, 4, 3, 1)


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "one.npy", X[0])
    np.save(tmp_path / "real.npy", (X + 3) * 0.5)
    np.save(tmp_path / "wrong.npy", X.astype(np.int32))
    np.savez(tmp_path / "x.npz", inputs=X, labels=np.arange(2), outputs=X[:, 0])
    np.savez(tmp_path / "two.npz", a=X, b=X)
    np.savez(tmp_path / "named.npz", x=X, y=np.zeros((2, 3, 4, 2), np.uint8))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "two.npz").read_bytes()[:100])
    np.savez(tmp_path / "objects.npz", x=np.array([None]))
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "text.png").write_text("no picture")
    return tmp_path


@pytest.mark.parametrize("name, want", [
    ("x.npy", X), ("one.npy", X[:1]), ("real.npy", X), ("x.npz", X)])
def test_arrays(folder, name, want):
    loaded, = load_inputs([END], [folder / name])
    np.testing.assert_array_equal(loaded, want)
    assert loaded.dtype == np.int8


def test_files_follow_each_other(folder):
    loaded, = load_inputs([END], [folder / "x.npy", folder / "one.npy"])
    np.testing.assert_array_equal(loaded, np.concatenate([X, X[:1]]))


def test_several_inputs(folder):
    other = np.zeros((2, 3, 4, 2), np.uint8)
    np.save(folder / "y.npy", other)
    for paths in (["x.npy", "y.npy"], ["named.npz"]):
        x, y = load_inputs([END, COLOUR], [folder / path for path in paths])
        np.testing.assert_array_equal(x, X)
        np.testing.assert_array_equal(y, other)


def images(folder):
    """Files that are images, but none to take."""
    image = pytest.importorskip("PIL.Image")
    image.fromarray(np.full((4, 3), 1 << 12, np.uint16)).save(folder / "deep.png")
    image.effect_noise((90, 100), 50).save(folder / "noise.png")
    (folder / "cut.png").write_bytes((folder / "noise.png").read_bytes()[:500])
    image.new("L", (1, 1)).save(folder / "large.bmp")
    with open(folder / "large.bmp", "r+b") as file:
        file.seek(18)  # where width and height are
        file.write(struct.pack("<ii", 40_000, 40_000))


def test_a_photograph_is_as_it_was_held(folder):
    """Cameras store how they were turned, and not the turned pixels."""
    image = pytest.importorskip("PIL.Image")
    pixels = np.arange(0, 240, 20, np.uint8).reshape(4, 3)
    turned = image.Exif()
    turned[0x112] = 6  # a quarter to the right brings it upright
    image.fromarray(np.rot90(pixels)).save(folder / "turned.png", exif=turned)
    loaded, = load_inputs([END], [folder / "turned.png"])
    np.testing.assert_array_equal(loaded[0, ..., 0], pixels.astype(int) - 128)


def test_names_that_look_like_files(folder):
    np.savez(folder / "both.npz", **{"x": X, "x.npy": X + 1})
    loaded = load_inputs([END, replace(END, name="x.npy")], [folder / "both.npz"])
    for got, want in zip(loaded, (X, X + 1), strict=True):
        np.testing.assert_array_equal(got, want)


def test_images(folder):
    image = pytest.importorskip("PIL.Image")
    pixels = np.arange(0, 240, 20, np.uint8).reshape(4, 3)
    image.fromarray(pixels).save(folder / "grey.png")
    loaded, = load_inputs([END], [folder / "grey.png"])
    np.testing.assert_array_equal(loaded[0, ..., 0], pixels.astype(int) - 128)
    image.new("RGB", (9, 9), (255, 0, 10)).save(folder / "red.png")
    loaded, = load_inputs([COLOUR], [folder / "red.png"])
    assert loaded.shape == (1, 3, 4, 2)
    assert loaded[0, :, 1, 1].tolist() == [255, 0, 10]
    # A height of 3 is no channels, if there are channels at the end.
    flat = replace(COLOUR, shape=(1, 3, 4, 3))
    loaded, = load_inputs([flat], [folder / "red.png"])
    assert loaded.shape == (1, 3, 4, 3) and loaded[0, 1, 1].tolist() == [255, 0, 10]


@pytest.mark.parametrize("ends, names, message", [
    ([END], ["wrong.npy"], (
        "wrong.npy must hold int8 or real inputs of the shape (n, 4, 3, 1), not int32 "
        "(2, 4, 3, 1)")),
    ([END], ["cut.npz"], "cut.npz is neither an array that numpy.save wrote nor an image"),
    ([END], ["text.npy"], "text.npy is neither an array that numpy.save wrote nor an image"),
    ([END], ["text.png"], "text.png is not an image that can be read"),
    ([END], ["objects.npz"], "objects.npz: Object arrays cannot be loaded"),
    ([END], ["cut.png"], "cut.png is damaged, or too large an image: "),
    ([END], ["large.bmp"], "large.bmp is damaged, or too large an image: "),
    ([END], ["deep.png"], "deep.png has more than 8 bits a channel: save it with 8"),
    ([END], ["two.npz"], (
        "two.npz must hold one array of int8 or real inputs of the shape (n, 4, 3, 1); of its "
        "arrays (a, b) more than one suits")),
    ([COLOUR], ["two.npz"], "(a, b) none suits"),
    ([END, COLOUR], ["two.npz"], "two.npz has no array x, only a, b"),
    ([END, COLOUR], ["x.npy"], (
        "the network has 2 inputs (x, y): give a file for each, or one .npz that has them by "
        "name, not 1 files")),
])
def test_refuses(folder, ends, names, message):
    if Path(names[0]).suffix in {".png", ".bmp"}:
        images(folder)
    with pytest.raises(ValueError, match=re.escape(message)):
        load_inputs(ends, [folder / name for name in names])


def test_noise():
    x, y = noise([END, COLOUR], 3)
    assert x.shape == (3, 4, 3, 1) and x.dtype == np.int8 and x.min() < 0
    assert y.shape == (3, 3, 4, 2) and y.dtype == np.uint8 and y.max() > 127


@pytest.mark.parametrize("rounding, ties", [("float32", [-2, -2, 0, 0, 0, 2, 2]),
                                            ("tflm", [-3, -2, -1, 0, 1, 2, 3])])
def test_ties(rounding, ties):
    """To even in .onnx networks, away from zero in .tflite ones."""
    end = replace(END, rounding=rounding, zero_point=0)
    real = np.array([-2.5, -1.5, -0.5, 0, 0.5, 1.5, 2.5]) * end.scale
    assert end.quantise(real).tolist() == ties
