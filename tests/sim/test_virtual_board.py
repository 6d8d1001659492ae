"""The virtual board: what it refuses."""

import pytest

from sim.virtual_board import VirtualBoard
from systolith.compiler.fitting import small_build


def test_an_image_without_an_address_is_refused():
    with pytest.raises(ValueError, match="^boot must be given with an image: it says where in the "
                                         "flash that is$"):
        VirtualBoard(small_build(4, 4), image=b"program")
