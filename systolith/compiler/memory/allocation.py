"""Addresses for tensors, so that those that live at a time do not meet."""

import random
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

__all__ = ["Lifetime", "allocate", "lower_bound"]

#: First and last step of what is alive, both included.
Lifetime = tuple[int, int]

#: What stands for a tensor.
Key = TypeVar("Key", bound=Hashable)

#: Orders tried before an allocation above the lower bound is taken.
TRIALS = 200


def lower_bound(sizes: Mapping[Key, int], lifetimes: Mapping[Key, Lifetime]) -> int:
    """Words that no allocation can do without: the most that are alive at a time."""
    return max((sum(sizes[other] for other in sizes
                    if lifetimes[other][0] <= lifetimes[tensor][0] <= lifetimes[other][1])
                for tensor in sizes), default=0)


def allocate(sizes: Mapping[Key, int],
             lifetimes: Mapping[Key, Lifetime]) -> tuple[dict[Key, int], int]:
    """Base addresses of tensors, and how many words they ask for.

    ``sizes`` in words and ``lifetimes`` by tensor. In some order each is put as low as those before
    it allow: the largest first, then what lives longest, then what comes first, then others at
    random, until nothing more can be gained.
    """
    least = lower_bound(sizes, lifetimes)
    best: tuple[dict[Key, int], int] | None = None
    for order in _orders(sizes, lifetimes):
        bases = _place(order, sizes, lifetimes)
        need = max((bases[tensor] + sizes[tensor] for tensor in bases), default=0)
        if best is None or need < best[1]:
            best = bases, need
        if best[1] == least:
            break
    assert best is not None, "there are orders"
    return best


def _orders(sizes: Mapping[Key, int], lifetimes: Mapping[Key, Lifetime]) -> Iterator[list[Key]]:
    yield sorted(sizes, key=lambda each: (-sizes[each], lifetimes[each]))
    yield sorted(sizes, key=lambda each: (lifetimes[each][0] - lifetimes[each][1], -sizes[each]))
    yield sorted(sizes, key=lambda each: (lifetimes[each], -sizes[each]))
    rng = random.Random(0)
    for _ in range(TRIALS):
        yield sorted(sizes, key=lambda each: -sizes[each] * rng.uniform(0.3, 1))


def _place(order: Sequence[Key], sizes: Mapping[Key, int],
           lifetimes: Mapping[Key, Lifetime]) -> dict[Key, int]:
    bases: dict[Key, int] = {}
    for tensor in order:
        begin, end = lifetimes[tensor]
        base = 0
        for low, high in sorted((bases[other], bases[other] + sizes[other]) for other in bases
                                if lifetimes[other][0] <= end and begin <= lifetimes[other][1]):
            if base + sizes[tensor] <= low:
                break
            base = max(base, high)
        bases[tensor] = base
    return bases
