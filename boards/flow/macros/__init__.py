"""Places for the multipliers and block RAMs of an ECP5, before nextpnr places all the rest.

Where nearly all multipliers and block RAMs are taken, nextpnr's placers leave neighbours of an
array on opposite sides of the chip: they first place all cells as if they could overlap, and then
move each of the few large ones to whatever site is left. So they are placed here, with nothing but
each other in view, and given to nextpnr as cells that stay where they are.
"""

from boards.devices import Device
from boards.flow.macros.anneal import anneal
from boards.flow.macros.closeness import closeness
from boards.flow.macros.sites import MACROS, sites_of
from boards.flow.netlist import Module

__all__ = ["MACROS", "anneal", "closeness", "pin_macros", "sites_of"]


def pin_macros(module: Module, device: Device, seed: int = 1, *,
               spread_enables: bool = False) -> None:
    """Give each macro of ``module``, a flat one of a netlist of Yosys for
    :class:`~boards.devices.Device` ``device``, a place by the attribute ``BEL`` that nextpnr
    knows; ``spread_enables`` is as of :func:`anneal`.
    """
    for name, site in anneal(module, closeness(module), sites_of(device), seed,
                             spread_enables=spread_enables).items():
        module["cells"][name]["attributes"]["BEL"] = site.bel
