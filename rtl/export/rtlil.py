"""RTLIL of a component, from which both the simulator and the boards start."""

from amaranth.back import rtlil
from amaranth.hdl import Signal, Value
from amaranth.hdl._ir import PortDirection
from amaranth.lib.wiring import In

__all__ = ["emit_rtlil", "ports_of"]


def ports_of(component):
    """Ports of ``component``: name -> (signal, member, path). A ``ready`` or ``valid`` that is
    always high has none."""
    ports = {}
    for path, member, value in component.signature.flatten(component):
        value = Value.cast(value)
        if isinstance(value, Signal) and len(value):
            ports["__".join(map(str, path))] = (value, member, path)
    return ports


def emit_rtlil(component, name="top", platform=None):
    """RTLIL of ``component``, elaborated for ``platform`` (a family's name, or None)."""
    ports = {name: (value, PortDirection.Input if member.flow == In else PortDirection.Output)
             for name, (value, member, _) in ports_of(component).items()}
    return rtlil.convert(component, name=name, platform=platform, ports=ports, emit_src=False)
