"""What a core costs and how fast it runs on a device, measured by place and route."""

import statistics
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

from boards.devices import device_of
from boards.flow.toolchain import BUILD, CORE, Placement, place_and_route, synthesise
from boards.flow.tools import Say, tool_versions

__all__ = ["KINDS", "Report", "dsp_period", "report", "true_mhz"]

#: Cells of Yosys by what a report counts them as.
KINDS = {
    "ffs": ("SB_DFF", "TRELLIS_FF"),
    "carries": ("SB_CARRY", "CCU2C"),
    "dsps": ("SB_MAC16", "MULT18X18D", "ALU54B"),
    "rams": ("SB_RAM40", "DP16KD", "PDPW16KD"),
    "sprams": ("SB_SPRAM",),
}

#: ns through the multiplier of an ``SB_MAC16``, by its mode, from IceStorm's timing database.
DSP_DELAYS = {"8x8": 6.0, "16x16": 9.1}


def dsp_period(period: float, parameters: Mapping[str, str]) -> float:
    """``period`` in ns, which nextpnr found, with the delay of one ``SB_MAC16`` counted.

    nextpnr takes each ``SB_MAC16`` for one with all its registers, whatever ``parameters`` say, so
    that it ends paths and starts them but delays none. The true clock is bounded from below: with
    registers on both sides of the multiplier its delay alone must fit into the period; without
    those on one side it adds to a path that nextpnr timed, without any to a path before and another
    behind.
    """
    values = {name: int(value, 2) for name, value in parameters.items()}
    delay = DSP_DELAYS["8x8" if values.get("MODE_8x8") else "16x16"]

    def registered(half: str) -> int | None:
        # The adder without its register, that behind it, the half's own product, the whole one.
        return (False, True, values.get(f"{half}_8x8_MULT_REG"),
                values.get("PIPELINE_16x16_MULT_REG2"))[values.get(f"{half}OUTPUT_SELECT", 0)]

    paths = (not (values.get("A_REG") and values.get("B_REG"))) + (
        not (registered("TOP") and registered("BOT")))
    return max(period, paths * period + delay)


def true_mhz(mhz: float, multipliers: Iterable[Mapping[str, str]]) -> float:
    """The clock that nextpnr found, with the delays of all ``multipliers`` counted, given by their
    parameters."""
    return 1e3 / max((dsp_period(1e3 / mhz, parameters) for parameters in multipliers),
                     default=1e3 / mhz)


@dataclass(frozen=True, kw_only=True)
class Report:
    """Figures of one core on one device; counts are of the core alone.

    Attributes
    ----------
    name, device, part : :class:`str`
    luts : :class:`int`
        Packed LUTs, those in carry chains included; on an iCE40 logic cells, each with LUT, carry
        and flip-flop.
    total_luts, device_luts : :class:`int`
        LUTs with those of the harness, and those that the device has.
    ffs, carries, dsps, rams, sprams : :class:`int`
        Flip-flops, carry cells, multipliers, block RAMs, single-port RAMs.
    mhz_median, mhz_min, mhz_max : :class:`float`
        Clock over all seeds.
    macs_per_cycle, gmacs, luts_per_mac : :class:`float`
        Products a cycle, 10^9 products a second at the median clock, and LUTs for each; 0 for a
        core that has no products.
    critical_path : :class:`str`
        Of the median seed, in words.
    bound_by : :class:`str`
        Where that path lies: in the ``"core"``, the ``"harness"`` (so that the core is faster than
        was seen) or the ``"interface"``, from one to the other.
    dsp_delays_counted : :class:`bool`
        The clock allows for delays of multipliers that nextpnr does not know.
    placements : tuple of dict
        Every seed: see :class:`boards.flow.toolchain.Placement`.
    synthesis_seconds : :class:`float`
    versions : dict
        Version of each tool.
    """

    name: str
    device: str
    part: str
    luts: int
    total_luts: int
    device_luts: int
    ffs: int
    carries: int
    dsps: int
    rams: int
    sprams: int
    mhz_median: float
    mhz_min: float
    mhz_max: float
    macs_per_cycle: float
    gmacs: float
    luts_per_mac: float
    critical_path: str
    bound_by: str
    dsp_delays_counted: bool
    placements: tuple[dict[str, Any], ...]
    synthesis_seconds: float
    versions: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        return asdict(self)


def report(component: wiring.Component, device: str, name: str, macs_per_cycle: int,
           seeds: Iterable[int] = (1, 2, 3), progress: Say | None = None, *,
           frequency: int | None = None, workdir: Path = BUILD, jobs: int = 2) -> Report:
    """Synthesise, place and route ``component`` for ``device`` out of context.

    Parameters
    ----------
    component : :class:`wiring.Component`
    device : :class:`str`
        A name from :data:`boards.devices.DEVICES`.
    name : :class:`str`
        What the report calls the core.
    macs_per_cycle : number
    seeds : iterable of :class:`int`
        One run of place and route for each, ``jobs`` at a time.
    progress : callable or None
        Called with a line of text as each step ends.
    frequency : :class:`int` or None
        MHz to aim at, if not the device's own.
    workdir : path
        Where results are kept.

    Raises
    ------
    :exc:`ValueError`
        If there is no such device or no seed.
    :exc:`~boards.flow.tools.ToolError`
        If a tool fails or runs out of time.
    """
    device, seeds, say = device_of(device), tuple(seeds), progress or (lambda line: None)
    if not seeds:
        raise ValueError("seeds must name at least one")
    netlist = synthesise(component, device, workdir)
    say(f"{name}: synthesised for {device.name} in {netlist.seconds} s")

    def place(seed: int) -> Placement:
        placement = place_and_route(netlist, device, seed, frequency)
        say(f"{name}: seed {seed} reaches {placement.mhz} MHz after {placement.seconds} s")
        return placement

    with ThreadPoolExecutor(jobs) as pool:
        placements = sorted(pool.map(place, seeds), key=lambda placement: placement.mhz)
    clocks = [true_mhz(placement.mhz, netlist.multipliers) for placement in placements]
    median = statistics.median(clocks)
    typical = placements[(len(placements) - 1) // 2]
    return Report(
        name=name, device=device.name, part=device.part,
        luts=typical.luts, total_luts=typical.total_luts, device_luts=device.luts,
        **{kind: sum(count for cell, count in netlist.cells.items() if cell.startswith(cells))
           for kind, cells in KINDS.items()},
        mhz_median=round(median, 1), mhz_min=round(clocks[0], 1), mhz_max=round(clocks[-1], 1),
        macs_per_cycle=macs_per_cycle, gmacs=round(macs_per_cycle * median / 1e3, 3),
        luts_per_mac=round(typical.luts / macs_per_cycle, 1) if macs_per_cycle else 0,
        critical_path=_in_words(typical), bound_by=_bound_by(typical),
        dsp_delays_counted=bool(netlist.multipliers),
        placements=tuple(asdict(placement) for placement in placements),
        synthesis_seconds=netlist.seconds, versions=tool_versions(device.family))


def _bound_by(placement: Placement) -> str:
    inside = {name.startswith(CORE) for name in (placement.source, placement.sink)}
    return {frozenset({True}): "core", frozenset({False}): "harness"}.get(
        frozenset(inside), "interface")


def _in_words(placement: Placement) -> str:
    source, sink = (name.removeprefix(CORE) if name.startswith(CORE) else f"harness {name}"
                    for name in (placement.source, placement.sink))
    return (f"{source} to {sink}: {placement.levels} levels, {placement.logic_ns} ns of logic, "
            f"{placement.routing_ns} ns of routing")
