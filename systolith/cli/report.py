import json as json_format
from typing import Annotated

import typer

from systolith.cli.options import (
    BufferBytes,
    Cols,
    Core,
    Depth,
    FirRows,
    Lanes,
    Multipliers,
    Requantize,
    Rounding,
    Rows,
    WordBytes,
)

__all__ = ["report"]


def report(
    core: Core,
    device: Annotated[str, typer.Option(
        help="up5k, hx8k, lfe5u-12f, lfe5u-25f, lfe5u-45f or lfe5u-85f.")],
    rows: Rows = 8,
    cols: Cols = 8,
    multipliers: Multipliers = None,
    fir_rows: FirRows = None,
    depth: Depth = None,
    drain_lanes: Lanes = None,
    requantize: Requantize = None,
    rounding: Rounding = None,
    word_bytes: WordBytes = None,
    buffer_bytes: BufferBytes = None,
    seeds: Annotated[int, typer.Option(min=1, max=99, help="Runs of place and route.")] = 3,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
):
    """Synthesise, place and route a core for a device, and show what it costs and how fast it is.

    The core stands alone between registers, which are not counted. A large core takes minutes.
    """
    from boards.devices import device_of
    from boards.flow.peers import peers_of
    from boards.flow.report import report as measure
    from boards.flow.report import table
    from rtl.catalog import build_core, macs_per_cycle
    from systolith.cli.show import console, made_with, progress

    part = device_of(device)
    component = build_core(core, rows=rows, cols=cols, family=part.family,
                           multipliers=part.dsps if multipliers is None else multipliers,
                           fir_rows=fir_rows, depth=depth, drain_lanes=drain_lanes,
                           requantize=requantize,
                           rounding=rounding, word_bytes=word_bytes,
                           buffer_bytes=buffer_bytes)
    name = core if core == "requantizer" else f"{core} {rows}x{cols}"
    with progress() as step:
        step(f"synthesising {name} for {device}, then {seeds} runs of place and route")
        result = measure(component, device, name, macs_per_cycle(component),
                         range(1, seeds + 1), step)
    if json:
        print(json_format.dumps(result.as_dict(), indent=2))
    else:
        console.print(table([result]))
        console.print(made_with(result.versions), highlight=False)
        for peer in peers_of(core, part.family):
            console.print(
                f"{peer.name} on {peer.device}: {peer.mhz} MHz, {peer.gmacs:.2f} GMAC/s, "
                f"{peer.luts_per_mac:.0f} LUTs a MAC; this core has "
                f"{result.gmacs / peer.gmacs:.1f} times its rate and "
                f"{result.luts_per_mac / peer.luts_per_mac:.2f} times its LUTs a MAC",
                highlight=False)
