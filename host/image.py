"""A program as an image for the flash of a board, from which the gateware loads it."""

import numpy as np

from host.device import digest_of
from host.driver import AcceleratorDriver
from rtl.boot import MAGIC
from rtl.boot.reader import IMAGE_CRC

__all__ = ["flash_image"]


def flash_image(program):
    """Bytes for a program: as :class:`rtl.boot.Boot` reads them."""
    images = AcceleratorDriver.images(program)
    sections = np.concatenate([
        np.concatenate([np.array([address, len(words)], "<u4"), np.asarray(words, "<u4")])
        for address, words in images])
    head = np.array([MAGIC, digest_of(images), len(sections)], "<u4")
    body = np.concatenate([head, sections]).tobytes()
    return body + IMAGE_CRC(data_width=8).compute(body).to_bytes(4, "big")
