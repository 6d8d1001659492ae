"""What ``systolith run`` shows of layers and of digits."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rtl.wording import counted

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

    from systolith.cli.show import Table
    from systolith.runtime.session import Session
    from systolith.runtime.target import Run
    from systolith.zoo.digits import Digits

__all__ = ["draw_digits", "layer_table"]

#: Digits that are drawn: as many as fit into 80 columns.
DRAWN = 4


def layer_table(session: "Session", run: "Run", differing: Mapping[int, int]) -> "Table":
    """Cycles of each operator of a run, and how many bytes of it differ."""
    from systolith.cli.show import Table

    program = session.program
    assert program is not None  # as the golden models alone run none
    params = program.params
    array = params.array
    products = params.products
    result = Table(
        f"Accelerator of {params.shape} products, {array.fir_rows} of the rows also FIR;\n"
        f"depth {params.depth}, {counted(params.drain_lanes, 'drain lane')}; cycles of one image",
        "operator", "result", "MACs", "cycles", "floor", "util.", "band", "differ",
        drop=("band", "result", "floor", "MACs", "util."))
    fused_into = program.fused_into
    for operator in session.graph.operators:
        if operator.index in fused_into:
            continue
        # Sums that take place in this one, and itself.
        parts = [*(each for each in session.graph.operators
                   if fused_into.get(each.index) == operator.index), operator]
        indices = {each.index for each in parts}
        mine = [(layer, cycles) for layer, cycles in zip(program.layers, run.layer_cycles,
                                                         strict=True)
                if layer.operator.index in indices]
        macs, cycles = sum(layer.macs for layer, _ in mine), sum(cycles for _, cycles in mine)
        bands = dict.fromkeys(str(layer.plan.band) for layer, _ in mine if layer.plan)
        on_host = any(each.index == operator.index for each in program.rest)
        result.add_row(
            " + ".join(f"{each.index} {each.kind}" for each in reversed(parts)),
            "x".join(map(str, session.graph.result(parts[0]).shape[1:])),
            *_figures(macs, cycles, products, "host" if on_host else "no work"),
            ",".join(bands), f"{sum(differing[each.outputs[0]] for each in parts):,}")
    result.add_section()
    result.add_row("from go to done", "", *_figures(program.macs, run.cycles, products, ""), "",
                   f"{sum(differing.values()):,}")
    return result


def _figures(macs: int, cycles: int, products: int, otherwise: str) -> tuple[str, str, str, str]:
    if not cycles:
        return "", otherwise, "", ""
    if not macs:
        return "", f"{cycles:,}", "", ""
    floor = -(-macs // products)
    return f"{macs:,}", f"{cycles:,}", f"{floor:,}", f"{macs / products / cycles:.1%}"


def draw_digits(console: "Console", digits: "Digits", result: "np.ndarray") -> None:
    """Some of the digits, and what the network takes them for."""
    from rich.text import Text

    labels = digits.labels[:len(result)].tolist()
    chosen = [labels.index(label) for label in dict.fromkeys(labels)][:DRAWN]
    for line in range(8):
        console.print(Text("   ".join("".join(" ░▒▓█"[-(-int(grey) // 4)] * 2 for grey in image)
                                      for image in digits.greys[chosen, line])))
    names = []
    for index in chosen:
        label, scores = labels[index], result[index]
        guess = int(scores.argmax())
        share = (int(scores[guess]) + 128) / 256
        names.append(f"read as {guess} ({share:.0%})" if guess == label
                     else f"{label} read as {guess}!")
    console.print(Text("   ".join(name.ljust(16) for name in names)))
