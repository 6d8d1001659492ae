"""Regions: where the pixels of an image lie in words."""

import pytest

from systolith.compiler.layout.region import Region

IMAGE = Region(height=3, width=5, channels=6, word_bytes=4)


def test_pixels_begin_with_a_word():
    assert (IMAGE.pixel_words, IMAGE.filled, IMAGE.words) == (2, 8, 30)
    assert (IMAGE.pixel_step, IMAGE.line_step, IMAGE.pixel_bytes, IMAGE.line_bytes) == (
        2, 10, 8, 40)
    assert IMAGE.whole and IMAGE.byte == 0


@pytest.mark.parametrize("first, channels, base, offset, words", [
    (0, 6, 0, 0, 2), (0, 4, 0, 0, 1), (4, 2, 1, 0, 1), (1, 3, 0, 1, 1), (3, 2, 0, 3, 2),
    (5, 1, 1, 1, 1)])
def test_channels_are_a_part_of_the_same_pixels(first, channels, base, offset, words):
    part = IMAGE.at(7).slice(first, channels)
    assert (part.base, part.offset, part.pixel_words) == (7 + base, offset, words)
    assert (part.pixel_step, part.line_step) == (IMAGE.pixel_step, IMAGE.line_step)
    assert part.byte == 4 * part.base + offset
    assert part.whole == (words == 2)


def test_lines_and_pixels_are_a_part():
    part = IMAGE.part(1, 2, 2, 2, (1, 2))
    assert (part.base, part.pixel_step, part.line_step) == (14, 4, 10)
    assert not part.whole and IMAGE.part(0, 0, 3, 5) == IMAGE


def test_transposed_twice_is_the_same():
    turned = IMAGE.transposed()
    assert (turned.height, turned.width, turned.pixel_step, turned.line_step) == (5, 3, 10, 2)
    assert turned.transposed() == IMAGE


def test_images_follow_each_other():
    assert IMAGE.batched(4).words == 4 * IMAGE.words


def test_alike_are_pixels_that_take_the_same_words():
    assert IMAGE.alike(IMAGE) and IMAGE.alike(Region(height=3, width=5, channels=5, word_bytes=4))
    assert not IMAGE.alike(IMAGE.at(1)) and not IMAGE.alike(IMAGE.slice(0, 4))
