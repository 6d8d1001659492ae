"""The images, their split, and the network that is shipped."""

import functools
from dataclasses import dataclass
from importlib import resources

import numpy as np
import numpy.typing as npt

from sim.golden.types import Float32, Int8

__all__ = ["SCALE", "ZERO_POINT", "Digits", "held_out", "model_bytes", "training"]

HELD_OUT, SEED = 500, 0

#: What an int8 number of an image means. White, 16, stands for 1.0: a step of grey is 15 numbers,
#: so that nothing is rounded.
SCALE, ZERO_POINT = float(np.float32(1 / 240)), -128


@dataclass(frozen=True)
class Digits:
    """Images of digits.

    ``greys`` are (n, 8, 8) uint8 between 0 and 16, ``labels`` (n,) the digits that they show.
    """

    greys: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    @property
    def images(self) -> Int8:
        """What the network takes: (n, 8, 8, 1) int8."""
        return (self.greys[..., None].astype(np.int16) * 15 + ZERO_POINT).astype(np.int8)

    @property
    def real(self) -> Float32:
        """What the numbers of ``images`` mean: (n, 8, 8, 1) float32 from 0 to 1."""
        return self.greys[..., None].astype(np.float32) / np.float32(16)


@functools.cache
def _split() -> tuple[Digits, Digits]:
    # Here, not above: to import it takes longer than most commands.
    from sklearn.datasets import load_digits

    source = load_digits()
    order = np.random.default_rng(SEED).permutation(len(source.target))
    greys, labels = source.images[order].astype(np.uint8), source.target[order].astype(np.int64)
    return (Digits(greys[:HELD_OUT], labels[:HELD_OUT]),
            Digits(greys[HELD_OUT:], labels[HELD_OUT:]))


def held_out() -> Digits:
    """The 500 :class:`Digits` that training never sees."""
    return _split()[0]


def training() -> Digits:
    """The 1297 :class:`Digits` to train and calibrate with."""
    return _split()[1]


def model_bytes() -> bytes:
    """The network as the bytes of a .tflite file: (1, 8, 8, 1) to (1, 10), int8."""
    return resources.files("systolith.zoo.digits").joinpath("digits.tflite").read_bytes()
