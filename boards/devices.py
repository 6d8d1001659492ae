"""Devices a core can be placed on: what each has, and what the tools call it."""

from dataclasses import dataclass

from rtl.validate import one_of

__all__ = ["DEVICES", "Device", "device_of"]


@dataclass(frozen=True, kw_only=True)
class Device:
    """One part in one package and speed grade.

    Attributes
    ----------
    name, part : :class:`str`
        Name in this project, and the vendor's.
    family : :class:`str`
        ``"ice40"`` or ``"ecp5"``, as :func:`rtl.family.family_of` takes it.
    luts, dsps, rams, sprams : :class:`int`
        Totals: LUT4 (each with a flip-flop), multipliers, block RAMs, single-port RAMs.
    synthesis : :class:`str`
        Yosys command, without ``-top``. Products are instantiated, so none is inferred: ``-dsp``
        even corrupts an ``SB_MAC16`` that is instantiated.
    arguments : :class:`tuple` of :class:`str`
        What tells nextpnr the device.
    frequency : :class:`int`
        MHz that place and route aims at: above what a core may reach, so that it never rests.
    """

    name: str
    part: str
    family: str
    luts: int
    dsps: int
    rams: int
    sprams: int = 0
    synthesis: str
    arguments: tuple[str, ...]
    frequency: int


def _ice40(name: str, part: str, *, frequency: int, synthesis: str, arguments: tuple[str, ...],
           **totals: int) -> Device:
    return Device(name=name, part=part, family="ice40", frequency=frequency,
                  synthesis=f"synth_ice40 -device {synthesis}",
                  arguments=(*arguments, "--pcf-allow-unconstrained"), **totals)


def _lfe5u(size: int, nextpnr: str, *, luts: int, dsps: int, rams: int) -> Device:
    return Device(name=f"lfe5u-{size}f", part=f"LFE5U-{size}F-6BG381C", family="ecp5",
                  luts=luts, dsps=dsps, rams=rams, synthesis="synth_ecp5 -nodsp", frequency=250,
                  arguments=(f"--{nextpnr}", "--package", "CABGA381", "--speed", "6",
                             "--lpf-allow-unconstrained"))


#: By name. The 12F is the die of the 25F, and nextpnr takes it for one.
DEVICES = {device.name: device for device in (
    _ice40("up5k", "iCE40UP5K-SG48", luts=5280, dsps=8, rams=30, sprams=4, frequency=80,
           synthesis="u", arguments=("--up5k", "--package", "sg48")),
    _ice40("hx8k", "iCE40HX8K-CT256", luts=7680, dsps=0, rams=32, frequency=200,
           synthesis="hx", arguments=("--hx8k", "--package", "ct256")),
    _lfe5u(12, "25k", luts=24288, dsps=28, rams=56),
    _lfe5u(25, "25k", luts=24288, dsps=28, rams=56),
    _lfe5u(45, "45k", luts=43848, dsps=72, rams=108),
    _lfe5u(85, "85k", luts=83640, dsps=156, rams=208),
)}


def device_of(name: str) -> Device:
    """The :class:`Device` of that name; :exc:`ValueError` names all there are otherwise."""
    return DEVICES[one_of("device", name, DEVICES)]
