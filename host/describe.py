"""Writes ``docs/registers.md`` from the declarations: ``python -m host.describe``."""

from pathlib import Path

from amaranth.hdl import Shape
from amaranth.lib import data

from host.fitting import small_build
from rtl.accelerator import Kind, descriptor_of, descriptor_words
from rtl.accelerator.host import chunks_of
from rtl.accelerator.registers import (
    FIRST_PARAMETER,
    OFFSET_BITS,
    PARAMETERS,
    Error,
    Flag,
    Register,
    Window,
)
from rtl.bus import StreamRegister
from rtl.layouts import ChannelParams

__all__ = ["PAGE", "describe", "fields_of"]

PAGE = Path(__file__).parents[1] / "docs" / "registers.md"

HEAD = """\
# Registers, memories and descriptors

This page is written by `python -m host.describe` from the declarations in
`rtl/accelerator/registers.py`, `rtl/accelerator/descriptor.py` and `rtl/bus/registers.py`; a test
holds it to them.

An address counts words of 32 bits. Its upper three bits choose a window, the lower {bits} an offset
in it.
"""


def describe():
    """The page, as text."""
    params = small_build(8, 8)
    parts = [HEAD.format(bits=OFFSET_BITS)]
    parts += _section("Windows", Window.__doc__, ("window", "from address", "what"), [
        (each.name, f"`{each << OFFSET_BITS:#08x}`", each.text) for each in Window])
    parts += _section("Registers", Register.__doc__, ("offset", "register", "what"), [
        *((int(each), each.name, each.text) for each in Register),
        *((offset, f"`{name}`", text)
          for offset, (name, text) in enumerate(PARAMETERS.items(), FIRST_PARAMETER))])
    parts += _section("Flags", Flag.__doc__, ("bit", "flag", "what"), [
        (int(each), each.name, each.text) for each in Flag])
    parts += _section("Errors", f"{Error.__doc__} The next run needs no reset.",
                      ("code", "error", "why"), [(int(each), each.name, each.text)
                                                 for each in Error])
    parts += _section("Streams", StreamRegister.__doc__, ("offset", "register", "what"), [
        (int(each), each.name, each.text) for each in StreamRegister])
    parts += _section("Parameters of a channel", ChannelParams.__doc__, *_layout_table(
        data.Layout.cast(ChannelParams)))
    parts += _section(
        "Descriptor",
        f"Of a build of 8 x 8 products with default memories: {descriptor_words(params)} words. "
        "Widths follow the sizes of a build's memories, and so do offsets. A parameter takes "
        f"{chunks_of(Shape.cast(ChannelParams).width)} words in its window. Counts are one less "
        "than the number they stand for. `kind` is " + ", ".join(
            f"{each} {each.name}" for each in Kind) + ".",
        *_layout_table(descriptor_of(params)))
    return "\n".join(parts)


def _section(title, text, heads, rows):
    text = "\n".join(line.strip() for line in text.strip().splitlines())
    return [f"## {title}\n", f"{text}\n", *_table(heads, rows), ""]


def _table(heads, rows):
    return ["| " + " | ".join(map(str, row)) + " |"
            for row in (heads, ["---"] * len(heads), *rows)]


def _layout_table(layout):
    return ("bit", "bits", "field"), [(first, bits, f"`{path}`")
                                      for first, bits, path in fields_of(layout)]


def fields_of(layout, offset=0, name=""):
    """Leaves of a layout: (first bit, bits, path)."""
    for key, field in layout:
        path = f"{name}[{key}]" if isinstance(key, int) else f"{name}.{key}".lstrip(".")
        shape = field.shape
        if isinstance(shape, type) and issubclass(shape, data.Struct):
            shape = data.Layout.cast(shape)
        if isinstance(shape, data.Layout):
            yield from fields_of(shape, offset + field.offset, path)
        else:
            shape = Shape.cast(shape)
            yield (offset + field.offset, f"{shape.width}{' signed' * shape.signed}", path)


if __name__ == "__main__":
    PAGE.write_text(describe())
