"""What it costs that the host runs a part of a network: which operators cut it, and the bytes that
cross."""

from collections.abc import Collection
from itertools import groupby

from systolith.compiler.codegen.program import Program
from systolith.compiler.partition import Partition
from systolith.compiler.schedule import schedule
from systolith.compiler.tiling.region_layers import packed_words
from systolith.graph.ir import Operator

__all__ = ["crossing", "cuts_of", "transfer_bytes"]


def cuts_of(program: Program, step: Operator) -> int:
    """How many segments fewer there would be, if the accelerator ran an operator of the host."""
    without = _segments(program, program.host.keys() - {step.index})
    return max(0, _segments(program, program.host.keys()) - without)


def _segments(program: Program, host: Collection[int]) -> int:
    parts = Partition(host=dict.fromkeys(host, "it is on the host"))
    order = schedule(program.graph, parts).order
    return sum(not local for local, _ in groupby(order, parts.on_host))


def crossing(program: Program, step: Operator) -> int:
    """Bytes that the host reads from the accelerator and writes to it for an operator that it
    runs."""
    return sum(transfer_bytes(program, tensor) for tensor in {*step.inputs, *step.outputs} - {-1})


def transfer_bytes(program: Program, tensor: int) -> int:
    """Those of a tensor that the host writes or reads; 0 if the accelerator has no place for it."""
    if plan := program.inputs.get(tensor):  # in the order of a convolution
        return packed_words(plan) * program.params.word_bytes
    region = program.regions.get(tensor)
    return region.words * region.word_bytes if region else 0
