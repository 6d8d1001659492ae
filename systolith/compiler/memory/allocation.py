"""Addresses for tensors, so that those that live at a time do not meet."""

import random

__all__ = ["allocate", "lower_bound"]

#: Orders tried before an allocation above the lower bound is taken.
TRIALS = 200


def lower_bound(sizes, lifetimes):
    """Words that no allocation can do without: the most that are alive at a time."""
    return max((sum(sizes[other] for other in sizes
                    if lifetimes[other][0] <= lifetimes[tensor][0] <= lifetimes[other][1])
                for tensor in sizes), default=0)


def allocate(sizes, lifetimes):
    """Base addresses of tensors, and how many words they ask for.

    ``sizes`` in words and ``lifetimes`` (first and last step, both included) by tensor. In some
    order each is put as low as those before it allow: the largest first, then what lives longest,
    then what comes first, then others at random, until nothing more can be gained.
    """
    least, best = lower_bound(sizes, lifetimes), None
    for order in _orders(sizes, lifetimes):
        bases = _place(order, sizes, lifetimes)
        need = max((bases[tensor] + sizes[tensor] for tensor in bases), default=0)
        if best is None or need < best[1]:
            best = bases, need
        if best[1] == least:
            break
    return best


def _orders(sizes, lifetimes):
    yield sorted(sizes, key=lambda each: (-sizes[each], lifetimes[each]))
    yield sorted(sizes, key=lambda each: (lifetimes[each][0] - lifetimes[each][1], -sizes[each]))
    yield sorted(sizes, key=lambda each: (lifetimes[each], -sizes[each]))
    rng = random.Random(0)
    for _ in range(TRIALS):
        yield sorted(sizes, key=lambda each: -sizes[each] * rng.uniform(0.3, 1))


def _place(order, sizes, lifetimes):
    bases = {}
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
