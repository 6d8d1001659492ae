import json as json_format
from typing import TYPE_CHECKING, Annotated

import typer

from systolith.cli.options import (
    BufferBytes,
    Cols,
    Core,
    Depth,
    DrainLanes,
    FirRows,
    Json,
    Multipliers,
    Requantize,
    Rounding,
    Rows,
    WordBytes,
    device_names,
)

if TYPE_CHECKING:
    from boards.flow.report import Report

__all__ = ["report"]


def report(
    core: Core,
    device: Annotated[str, typer.Option(
        autocompletion=device_names,
        help="up5k, hx8k, lfe5u-12f, lfe5u-25f, lfe5u-45f or lfe5u-85f.")],
    rows: Rows = None,
    cols: Cols = None,
    multipliers: Multipliers = None,
    fir_rows: FirRows = None,
    depth: Depth = None,
    drain_lanes: DrainLanes = None,
    requantize: Requantize = None,
    rounding: Rounding = None,
    word_bytes: WordBytes = None,
    buffer_bytes: BufferBytes = None,
    seeds: Annotated[int, typer.Option(min=1, max=99, help="Runs of place and route.")] = 3,
    json: Json = False,
) -> None:
    """Synthesise, place and route a core for a device, and show what it costs and its Fmax.

    The core stands alone between registers, which are not counted. A large core takes minutes.
    """
    from boards.devices import device_of
    from boards.flow.report import report as measure
    from rtl.catalog import build_core, macs_per_cycle
    from rtl.wording import counted
    from systolith.cli.progress import progress

    part = device_of(device)
    rows, cols = (8 if each is None else each for each in (rows, cols))
    component = build_core(core, rows=rows, cols=cols, family=part.family,
                           multipliers=part.dsps if multipliers is None else multipliers,
                           fir_rows=fir_rows, depth=depth, drain_lanes=drain_lanes,
                           requantize=requantize,
                           rounding=rounding, word_bytes=word_bytes,
                           buffer_bytes=buffer_bytes)
    name = core if core == "requantizer" else f"{core} {rows}x{cols}"
    with progress(total=seeds + 1) as step:  # a line begins, and one ends each of them
        step(f"synthesising {name} for {device}, then {counted(seeds, 'run')} of place and route")
        result = measure(component, device, name, macs_per_cycle(component),
                         range(1, seeds + 1), step)
    if json:
        print(json_format.dumps(result.as_dict(), indent=2))
    else:
        _show(result)
        _compare(core, part.family, result)


def _show(result: "Report") -> None:
    from systolith.cli.show import Table, console, made_with

    view = Table(f"{result.name} on {result.part}, out of context", "", "used", "of")
    view.add_row("LUTs", f"{result.luts:,}", f"{result.device_luts:,}")
    for name, count in (("flip-flops", result.ffs), ("carry cells", result.carries),
                        ("multipliers", result.dsps), ("block RAMs", result.rams + result.sprams)):
        view.add_row(name, f"{count:,}")
    view.print()
    median, low, high = result.mhz_median, result.mhz_min, result.mhz_max
    console.print(f"Fmax {median} MHz, the median of {low} to {high} MHz"
                  f"{', with the delays of multipliers' * result.dsp_delays_counted}")
    if result.macs_per_cycle:
        console.print(f"{result.macs_per_cycle:,g} MACs per cycle, {result.gmacs} GMAC/s, "
                      f"{result.luts_per_mac} LUTs per MAC")
    seconds = ", ".join(str(placement["seconds"]) for placement in result.placements)
    console.print(f"critical path {result.critical_path} (in the {result.bound_by})\n"
                  f"synthesis {result.synthesis_seconds} s, place and route {seconds} s\n"
                  f"{made_with(result.versions)}")


def _compare(core: str, family: str, result: "Report") -> None:
    from boards.flow.peers import peers_of
    from systolith.cli.show import console

    for peer in peers_of(core, family):
        console.print(
            f"{peer.name} on {peer.device}: {peer.mhz} MHz, {peer.gmacs:.2f} GMAC/s, "
            f"{peer.luts_per_mac:.0f} LUTs per MAC; this core has "
            f"{result.gmacs / peer.gmacs:.1f} times its rate and "
            f"{result.luts_per_mac / peer.luts_per_mac:.2f} times its LUTs per MAC")
