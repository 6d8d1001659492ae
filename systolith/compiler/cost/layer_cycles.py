"""What the cycles of a layer are spent on."""

from dataclasses import dataclass

__all__ = ["LayerCycles"]


@dataclass(frozen=True, kw_only=True)
class LayerCycles:
    """``cycles`` of a layer from the end of the one before to its own, and what they are.

    ``start``: the descriptor, and the wait for the first vector or word. ``array``: vectors, one a
    cycle. ``weights``: tiles too short for the weights of the next one. ``input``: words that
    are waited for. ``drain``: waits for accumulators, and the drain of the last pass.

    ``ahead``: of all these, those in which its weights have left their memory, so that the next
    layer's may come.
    """

    cycles: int
    start: int = 0
    array: int = 0
    weights: int = 0
    input: int = 0
    drain: int = 0
    ahead: int = 0

    @property
    def bound(self) -> str:
        """What takes the most of it."""
        parts = ("array", "weights", "input", "drain", "start")
        return max(parts, key=lambda name: getattr(self, name))
