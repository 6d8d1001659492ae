"""What a driver and a build must agree about, in a number."""

import hashlib

from amaranth.hdl import Shape

from rtl.accelerator.control.descriptor import Kind, descriptor_of
from rtl.accelerator.memories import memories_of
from rtl.accelerator.registers import OFFSET_BITS, PARAMETERS, Flag, Register, Window
from rtl.export.layout import layout_of
from rtl.layouts import ChannelParams

__all__ = ["MAP", "fingerprint"]


def _digest(*parts):
    """16 bits that tell ``parts`` apart, not all 0."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:2], "little") or 1


def _numbers(names):
    return [(each.name, int(each)) for each in names]


#: Windows and registers, which all builds have in common.
MAP = _digest(OFFSET_BITS, _numbers(Window), _numbers(Register), _numbers(Flag), list(PARAMETERS))


def fingerprint(params):
    """What the register ``FINGERPRINT`` reads in a build of :class:`AcceleratorParams`: in the
    upper 16 bits :data:`MAP`, in the lower ones a digest of what its memories hold: their sizes,
    and where each field of a descriptor and of a channel's parameters lies."""
    layouts = [list(_fields(layout_of(layout))) for layout in (descriptor_of(params),
                                                               ChannelParams)]
    memories = [(window.name, *size) for window, size in memories_of(params).items()]
    return MAP << 16 | _digest(layouts, memories, _numbers(Kind))


def _fields(layout, offset=0, name=""):
    """Leaves of a layout: path, first bit, bits, and whether it is signed."""
    for key, field in layout:
        path = f"{name}.{key}"
        if (inner := layout_of(field.shape)) is not None:
            yield from _fields(inner, offset + field.offset, path)
        else:
            shape = Shape.cast(field.shape)
            yield path, offset + field.offset, shape.width, shape.signed
