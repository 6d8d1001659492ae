"""What ``systolith run`` runs a network on: a board, or the simulation of a build."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rtl.accelerator import AcceleratorParams
from systolith.cli.builds import Build, sdram_of
from systolith.cli.estimates import compiling
from systolith.cli.show import console
from systolith.compiler.fitting import all_results, fit, shortages
from systolith.graph.ir import Graph

if TYPE_CHECKING:
    from systolith.runtime.device import Device
    from systolith.runtime.simulated_accelerator import SimulatedAccelerator

__all__ = ["connected", "simulated"]


def connected(port: str, baud: int | None, graph: Graph) -> "Device":
    """The board at a port, which a network has to fit."""
    from systolith.runtime.discovery import open_device

    device = open_device(port, baud)
    if device.channel.pipe.latency:
        console.print(device.channel.pipe.latency, style="yellow")
    _refuse(graph, device.params, f"the board at {port}")
    return device


def simulated(build: Build, graph: Graph, layers: bool,
              vcd: Path | None) -> "SimulatedAccelerator":
    """The simulated accelerator of a board's build, which a network has to fit, or of a build whose
    memories are made large enough; where ``layers`` are asked for, for all tensors if can be."""
    from systolith.runtime.simulated_accelerator import SimulatedAccelerator

    board, params = build
    if board is None:
        params = fit(graph, params)
        if layers:
            with suppress(ValueError):  # too many for any build: they come in parts
                params = fit(all_results(graph), params)
    else:
        _refuse(graph, params, board.title)
    with compiling("compiling the accelerator for simulation (once)", "accelerator",
                   params.products):
        return SimulatedAccelerator(params, trace=vcd, **sdram_of(board))


def _refuse(graph: Graph, params: AcceleratorParams, title: str) -> None:
    if short := shortages(graph, params):
        raise ValueError(f"the network does not fit {title}; "
                         + "; ".join(each.text for each in short))
