"""Views and copies against what they stand for: elements of a memory of numbered bytes."""

import numpy as np

from sim.golden.movement import origins_of
from systolith.compiler.layout.region import Region
from systolith.compiler.layout.views import image_of, view_of
from systolith.compiler.lowering.movement import copies_of

SOURCE = Region(height=4, width=6, channels=7, word_bytes=4, base=3, pixel_step=3, line_step=20)


def bytes_of(region):
    """Addresses, in bytes, of the elements of an image."""
    y, x, c = np.ogrid[:region.height, :region.width, :region.channels]
    return region.byte + y * region.line_bytes + x * region.pixel_bytes + c


def test_views_are_what_was_asked_for():
    """Lines, pixels and channels at equal steps, in either order; nothing else is an image."""
    cases = {
        "lines": (lambda x: x[:, 1:], True), "pixels": (lambda x: x[:, :, 1::2], True),
        "channels": (lambda x: x[..., 2:6], True), "turned": (lambda x: x.swapaxes(1, 2), True),
        "a line": (lambda x: x[:, 2], True), "backwards": (lambda x: x[:, ::-1], False),
        "channels first": (lambda x: x.transpose(0, 3, 1, 2), False),
        "two lines": (lambda x: np.concatenate([x[:, :1], x[:, 2:]], 1), False),
        "every other channel": (lambda x: x[..., ::2], False),
        "fill": (lambda x: np.pad(x, 1, constant_values=-1), False)}
    for name, (move, is_view) in cases.items():
        taken = origins_of(move, (1, 4, 6, 7))
        view = view_of(taken, SOURCE)
        assert (view is not None) == is_view, name
        if view is not None:
            want = bytes_of(SOURCE).ravel()[taken].reshape(view.height, view.width, -1)
            np.testing.assert_array_equal(bytes_of(view), want, name)


def test_copies_move_each_element_once():
    rng = np.random.default_rng(6)
    shuffled = scattered = 0
    for number in range(100):
        shape = tuple(rng.integers(1, 6, 3).tolist())
        size = int(np.prod(shape))
        start = rng.integers(0, 4 * 6 * 7 - 20)
        taken = {  # runs, a permutation, squares, channels, axes
            0: (start + np.arange(size)) % (4 * 6 * 7), 1: rng.permutation(168)[:size],
            2: np.arange(168).reshape(4, 6, 7)[:shape[0], ::-1][:, :shape[1], :shape[2]],
            3: np.arange(168).reshape(4, 6, 7)[:shape[0], :shape[1], rng.permutation(7)],
            4: np.arange(168).reshape(4, 6, 7)[:shape[0], :shape[1], :shape[2]].transpose(
                rng.permutation(3))[::-1],
        }[number % 5]
        if number % 5 > 1:
            shape = taken.shape
        target = image_of((1, *shape), 4)
        goes = np.full(target.words * 4, -1)
        copies = list(copies_of(np.asarray(taken).astype(np.int32).reshape(shape), SOURCE, target))
        for copy in copies:
            goes_to = bytes_of(copy.target)
            if copy.steps is not None:
                y, x, c = np.ogrid[:copy.source.height, :copy.source.width, :copy.source.channels]
                goes_to = copy.target.byte + y * copy.steps[0] + x * copy.steps[1] + (
                    c * copy.steps[2])
            assert (goes[goes_to] == -1).all()
            goes[goes_to] = bytes_of(copy.source)[..., slice(None) if copy.channels is None
                                                  else copy.channels]
            shuffled += copy.channels is not None
            scattered += copy.steps is not None
        np.testing.assert_array_equal(goes[bytes_of(target)].ravel(),
                                      bytes_of(SOURCE).ravel()[np.asarray(taken).ravel()])
    assert shuffled > 15 and scattered > 15
