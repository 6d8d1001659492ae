# amaranth: UnusedElaboratable=no
"""Plans of convolutions, without a simulation: tests/rtl/test_conv2d.py runs them."""

import re

import numpy as np
import pytest

from rtl.conv2d import Conv2d
from rtl.params import ArrayParams
from systolith.compiler.cost.machine import Machine
from systolith.compiler.tiling.conv_plan import ConvPlan
from tests.support.layers import image, random_layer

SMALL = Machine.of_core(Conv2d(ArrayParams(rows=3, cols=4), depth=48, buffer_bytes=2048,
                               max_lines=64, max_images=8))


def plan(shape, filters=1, machine=SMALL, **options):
    return ConvPlan(machine, random_layer(np.random.default_rng(0), shape, filters), **options)


#: What exceeds the limits of :data:`SMALL`: a shape, the limit's name, the limit, the demand.
LIMITS = [
    (image(65, 3, 1), "height", 64, 65),
    (image(20, 3, 5, (16, 1), padding=((255, 0), (0, 0))), "padded height", 255, 275),
    (image(2, 2, 1, images=10), "images", 8, 10),
    (image(60, 32, 8, (9, 1)), "line buffer bytes (9 lines for a band of 1)", 2048, 2304),
    (image(40, 20, 99, (1, 9), padding=((0, 0), (0, 22))), "padded line bytes", 4096, 4158),
]


@pytest.mark.parametrize("shape, what, limit, needs", LIMITS)
def test_refuses_what_the_build_cannot_do(shape, what, limit, needs):
    message = (f"{what} must be at most {limit} in this build; the layer needs {needs}, "
               f"{needs - limit} too many")
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        plan(shape)


def test_refuses_more_than_a_field_can_say():
    """Limits without a rule of their own: of fields, here of the number of row tiles of a run."""
    least = Conv2d(ArrayParams(rows=1, cols=1), depth=2, buffer_bytes=4, max_lines=8)
    shape = image(1, 1, 2, (4, 3), stride=(1, 1), padding=((1, 15), (3, 0)), groups=1)
    message = "chunks must be at most 3 in this build; the layer needs 5, 2 too many"
    with pytest.raises(ValueError, match=f"^{message}$"):
        plan(shape, machine=Machine.of_core(least))


def test_refuses_a_line_beyond_the_accumulators():
    with pytest.raises(ValueError, match=r"^a line of 49 outputs is more than the 48 that the "
                                         r"accumulators of this build hold$"):
        plan(image(49, 49, 1))


def test_refuses_other_images_and_bands():
    shape = image(5, 5, 2, (3, 3))
    words = plan(shape, 4).words
    for images in np.zeros((1, 5, 5, 3), np.int8), np.zeros((1, 5, 5, 2), np.uint8):
        message = (f"images must be int8 of shape (1, 5, 5, 2), not {images.dtype} of shape "
                   f"{images.shape}")
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            words(images)
    with pytest.raises(ValueError, match=r"^band must be between 1 and 16, not 17$"):
        plan(shape, 4, band=17)


def test_refuses_bands_that_the_line_buffer_does_not_hold():
    with pytest.raises(ValueError, match=r"^the line buffer of this build holds bands of 3 lines "
                                         r"at the most, not of 4$"):
        plan(image(12, 12, 30, (3, 3)), band=4, fold=False, transpose=False)


def test_says_what_the_least_build_needs():
    """A build of just that takes the layer, and none of less does."""
    shape = image(9, 7, 3, (3, 3), 1)
    least = plan(shape, 5).least
    assert least["sum_bits"] == random_layer(np.random.default_rng(0), shape, 5).sum_bits
    assert least["max_lines"] in {7, 9} and least["depth"] in {7, 9}
    options = {"buffer_bytes": 1 << (least["buffer_bytes"] - 1).bit_length(),
               "max_lines": least["max_lines"], "depth": least["depth"]}

    def machine(**changes):
        return Machine.of_core(Conv2d(ArrayParams(rows=3, cols=4), **(options | changes)))

    plan(shape, 5, machine())
    for name in ("buffer_bytes", "max_lines", "depth"):
        less = options[name] // 2 if name == "buffer_bytes" else options[name] - 1
        with pytest.raises(ValueError, match="build"):
            plan(shape, 5, machine(**{name: less}))
