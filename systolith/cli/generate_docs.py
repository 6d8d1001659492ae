"""Writes ``docs/registers.md`` and a constant of the driver in C from the declarations, and
``docs/clocks.md`` from the record of clocks: ``python -m systolith.cli.generate_docs``."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from amaranth.hdl import Shape
from amaranth.lib.data import Layout

from boards.board import boards
from boards.flow.clocks import read_clocks
from rtl.accelerator import Kind, descriptor_of, descriptor_words
from rtl.accelerator.control.fingerprint import MAP
from rtl.accelerator.control.host_port import chunks_of
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
from rtl.export.layout import layout_of
from rtl.layouts import ChannelParams
from systolith.compiler.fitting import small_build
from systolith.graph.record import OperatorRecord, records

__all__ = ["PAGES", "describe_clocks", "describe_operators", "describe_header",
           "describe_registers", "fields_of", "write_pages"]

#: What is in a line of a table.
Cells = Sequence[str | int]

REGISTERS = """\
# Registers, memories and descriptors

This page is written by `python -m systolith.cli.generate_docs` from the declarations in
`rtl/accelerator/registers.py`, `rtl/accelerator/control/descriptor.py` and `rtl/bus/registers.py`;
a test holds it to them.

An address counts words of 32 bits. Its upper three bits choose a window, the lower {bits} an offset
in it.
"""

CLOCKS = """\
# Clocks

This page is written from `boards/clocks.json`, which `systolith bench --record --board BOARD`
writes, by `python -m systolith.cli.generate_docs`: the whole design of a board, placed and routed
by nextpnr from several seeds. `systolith bench` refuses a clock that belongs to another design, or
to other versions of the tools. The clock is that of the board's PLL; timing is met if the median
Fmax of all seeds is no lower.
"""


def describe_clocks() -> str:
    """The page of clocks, as text."""
    clocks, known = read_clocks(), boards()
    rows = [(f"`{clock.board}`", known[clock.board].params.shape, f"{clock.clock_mhz:g}",
             f"{clock.median:g} ({min(clock.mhz):g} to {max(clock.mhz):g})",
             ", ".join(map(str, clock.seeds)), *(f"{count:,}" for count in (
                 clock.luts, clock.ffs, clock.dsps, clock.rams, clock.sprams)),
             ", ".join(map(str, clock.seconds)), clock.critical_path)
            for clock in clocks.values()]
    heads = ("board", "products", "clock, MHz", "Fmax, MHz", "seeds", "LUTs", "flip-flops",
             "multipliers", "block RAMs", "single-port RAMs", "seconds", "critical path")
    return "\n".join([CLOCKS, *_table(heads, rows), ""])


OPERATORS = """\
# Operators

This page is written from the records in `systolith/operators` by
`python -m systolith.cli.generate_docs`; a test holds it to them. What is not here, the runtime
itself runs on the host: see [compiler.md](compiler.md#from-a-file-to-a-graph).

"Units" are those beside the convolution core that layers may need. Without a pooling unit, means,
copies, clamps, padding and enlargements are convolutions; other operators whose unit a board lacks
run on the host. Boards without the float32 rounding take `.tflite` networks only.
"""


def describe_operators() -> str:
    """The page of operators, as text."""
    rows = []
    for record in sorted(records().values(), key=lambda record: record.kind):
        onnx = sorted({*record.onnx, *record.qlinear})
        if record.run is None and (record.tflite or onnx) and _is_ours(record):
            there = record.lower or record.moves or record.parts
            rows.append((f"`{record.kind}`", _names(sorted(record.tflite)), _names(onnx),
                         "accelerator" if there else "host", ", ".join(sorted(record.units))))
    networks = {"both": ".tflite, .onnx", "tflm": ".tflite", "float32": ".onnx"}
    lacking = [(f"`{name}`", networks[board.params.rounding],
                ", ".join(unit for unit in ("addition", "pooling")
                          if not getattr(board.params, unit)))
               for name, board in sorted(boards().items())]
    return "\n".join([
        OPERATORS, *_table(("operator", ".tflite", ".onnx", "runs on", "units"), rows),
        "\n## Boards\n", *_table(("board", "networks", "units that it lacks"), lacking), ""])


def _is_ours(record: OperatorRecord) -> bool:
    """Whether a record is the project's own: other packages may have registered some."""
    converters = *record.tflite.values(), *record.onnx.values(), *record.qlinear.values()
    return all(each.__module__.partition(".")[0] in {"systolith", "functools"}
               for each in converters)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def describe_registers() -> str:
    """The page of registers, as text."""
    params = small_build(8, 8)
    parts = [REGISTERS.format(bits=OFFSET_BITS)]
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
        layout_of(ChannelParams)))
    parts += _section(
        "Descriptor",
        f"Of a build of 8 x 8 products with default memories: {descriptor_words(params)} words. "
        "Widths follow the sizes of a build's memories, and so do offsets. A parameter takes "
        f"{chunks_of(Shape.cast(ChannelParams).width)} words in its window. Counts are one less "
        "than the number they stand for. `kind` is " + ", ".join(
            f"{each} {each.name}" for each in Kind) + ".",
        *_layout_table(descriptor_of(params)))
    return "\n".join(parts)


def _section(title: str, text: str | None, heads: Cells, rows: Iterable[Cells]) -> list[str]:
    assert text is not None, f"{title} have no docstring"
    text = "\n".join(line.strip() for line in text.strip().splitlines())
    return [f"## {title}\n", f"{text}\n", *_table(heads, rows), ""]


def _table(heads: Cells, rows: Iterable[Cells]) -> list[str]:
    return ["| " + " | ".join(map(str, row)) + " |"
            for row in (heads, ["---"] * len(heads), *rows)]


def _layout_table(layout: Layout) -> tuple[Cells, list[Cells]]:
    return ("bit", "bits", "field"), [(first, bits, f"`{path}`")
                                      for first, bits, path in fields_of(layout)]


def fields_of(layout: Layout, offset: int = 0, name: str = "") -> Iterator[tuple[int, str, str]]:
    """Leaves of a layout: (first bit, bits, path)."""
    for key, field in layout:
        path = f"{name}[{key}]" if isinstance(key, int) else f"{name}.{key}".lstrip(".")
        if (inner := layout_of(field.shape)) is not None:
            yield from fields_of(inner, offset + field.offset, path)
        else:
            shape = Shape.cast(field.shape)
            yield (offset + field.offset, f"{shape.width}{' signed' * shape.signed}", path)


def describe_header() -> str:
    """The header of the driver in C, with the digest of the register map."""
    return re.sub(r"(?<=#define SYSTOLITH_MAP )0x[0-9a-f]+u", f"{MAP:#06x}u", HEADER.read_text())


DOCS = Path(__file__).parents[2] / "docs"
HEADER = Path(__file__).parents[1] / "runtime" / "c" / "systolith.h"
#: What writes each page.
PAGES = {DOCS / "registers.md": describe_registers, DOCS / "clocks.md": describe_clocks,
         DOCS / "operators.md": describe_operators,
         HEADER: describe_header}


def write_pages() -> None:
    """Write every page anew."""
    for page, describe in PAGES.items():
        page.write_text(describe())


if __name__ == "__main__":
    write_pages()
