"""Names of inputs and outputs, by which files and dicts have them."""

from collections.abc import Iterable

__all__ = ["distinct"]


def distinct(names: Iterable[str], stem: str) -> tuple[str, ...]:
    """``names`` that differ: what occurs before is given a number, and what is empty is called
    ``stem``. In .npz files x is x.npy, so these two do not differ; what cannot be printed, which
    they cut off, becomes an underscore."""
    given = ["".join(letter if letter.isprintable() else "_" for letter in name) or stem
             for name in names]
    kept = {_member(name) for name in given}
    taken: set[str] = set()
    found = []
    for name in given:
        chosen, number = name, 1
        while _member(chosen) in taken or number > 1 and _member(chosen) in kept:
            number += 1
            chosen = f"{name}_{number}"
        taken.add(_member(chosen))
        found.append(chosen)
    return tuple(found)


def _member(name: str) -> str:
    return name.removesuffix(".npy")
