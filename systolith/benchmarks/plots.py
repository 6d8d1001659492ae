"""Images of where cycles go: a bar for each layer, and the roofline of each build."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from boards.board import Board
from rtl.accelerator import AcceleratorParams
from systolith.benchmarks.networks import Network
from systolith.compiler import Segment
from systolith.compiler.choice import program_of
from systolith.compiler.cost.layers import CycleModel
from systolith.compiler.cost.machine import Machine
from systolith.compiler.fitting import shortages
from systolith.graph.ir import Graph

if TYPE_CHECKING:
    from matplotlib.axes import Axes  # slow to import

__all__ = ["LayerCost", "costs", "draw"]

#: Parts of a layer's cycles: floor and idle products of the array's, waits, and their colours.
PARTS = {"floor": "#2a6f97", "idle products": "#89c2d9", "weights": "#e07a5f", "input": "#f2cc8f",
         "drain": "#81b29a", "start": "#b8b8b8"}


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """Cycles of a layer, by :data:`PARTS`, and what it computes and moves.

    ``moved`` are bytes of weights read, and of tensors read and written.
    """

    title: str
    parts: dict[str, float]
    macs: int
    moved: int

    @property
    def cycles(self) -> float:
        return sum(self.parts.values())


def costs(graph: Graph, params: AcceleratorParams) -> list[LayerCost]:
    """The :class:`LayerCost` of each layer that the accelerator runs, by the model of cycles."""
    program, model, found = program_of(graph, params), CycleModel(Machine.of(params)), []
    for step in program.steps:
        if not isinstance(step, Segment):
            continue
        layers = program.layers[step.first:step.first + step.layers]
        for layer, each in zip(layers, model.layers(layers), strict=True):
            floor = layer.macs / params.products
            tensors = [*layer.operator.inputs, *layer.operator.outputs]
            moved = layer.weights.size + sum(
                program.regions[index].words * program.regions[index].word_bytes
                for index in tensors if index in program.regions)
            parts = {"floor": floor, "idle products": max(each.array - floor, 0),
                     "weights": each.weights, "input": each.input, "drain": each.drain,
                     "start": each.start}
            # What else passes is the work itself, of layers without products.
            parts["start"] += max(each.cycles - sum(parts.values()), 0)
            found.append(LayerCost(title=f"{layer.operator.index} {layer.operator.kind}",
                                   parts=parts, macs=layer.macs, moved=moved))
    return found


def draw(networks: Sequence[Network], boards: Sequence[Board], file: str | Path) -> None:
    """PNG or SVG, by the suffix of ``file``: a row for each network that fits each board.

    Raises :exc:`ValueError` if none does.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [(network, board, costs(network.graph, board.params))
            for board in boards for network in networks if not _short(network, board)]
    if not rows:
        raise ValueError("none of the networks fits any of the boards: there is nothing to draw")
    figure, axes = pyplot.subplots(len(rows), 2, figsize=(14, 4.5 * len(rows)), squeeze=False,
                                   layout="constrained", width_ratios=(2, 1))
    for (bars, roof), (network, board, layers) in zip(axes, rows, strict=True):
        _bars(bars, layers)
        bars.set_title(f"{network.name} on {board.name}: cycles of each layer")
        _roof(roof, layers, board.params)
        roof.set_title(f"{network.name} on {board.name}: roofline")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center",
                  ncols=len(PARTS), frameon=False)
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


def _short(network: Network, board: Board) -> bool:
    try:
        return bool(shortages(network.graph, board.params))
    except ValueError:
        return True


def _bars(axes: "Axes", layers: Sequence[LayerCost]) -> None:
    regions, left = range(len(layers)), [0.0] * len(layers)
    for part, colour in PARTS.items():
        widths = [layer.parts[part] for layer in layers]
        axes.barh(regions, widths, left=left, color=colour, label=part)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.set(yticks=regions, yticklabels=[layer.title for layer in layers], xlabel="cycles")
    axes.tick_params(axis="y", labelsize=7)
    axes.invert_yaxis()


def bytes_a_cycle(params: AcceleratorParams) -> float:
    """What the memories of a build give and take at most: a word for the line buffer, a row of
    weights in the cycles that it takes, several from SDRAM, and the bytes that are requantised."""
    if params.single_memory:
        return params.word_bytes
    return (params.word_bytes + params.array.cols / Machine.of(params).weight_row_cycles
            + params.pixel_lanes * params.drain_lanes / params.requantize)


def _roof(axes: "Axes", layers: Sequence[LayerCost], params: AcceleratorParams) -> None:
    layers = [layer for layer in layers if layer.macs]
    x = [layer.macs / layer.moved for layer in layers]
    axes.scatter(x, [layer.macs / layer.cycles for layer in layers], color=PARTS["weights"],
                 zorder=3)
    peak, slope = params.products, bytes_a_cycle(params)
    ends = [min([*x, peak / slope]) / 2, peak / slope, max([*x, peak / slope]) * 2]
    axes.plot(ends, [ends[0] * slope, peak, peak], color=PARTS["floor"])
    axes.set(xscale="log", yscale="log", xlabel=f"MACs a byte ({slope:.4g} bytes a cycle)",
             ylabel=f"MACs a cycle (at most {peak})")
    axes.grid(alpha=0.3, which="both")
