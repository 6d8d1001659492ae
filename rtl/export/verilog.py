"""Verilog of a component, with a table of its ports."""

import inspect
import itertools
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from amaranth.hdl import Shape
from amaranth.lib import data, stream
from amaranth.lib.wiring import In

import rtl
from rtl.export.layout import layout_of
from rtl.export.rtlil import emit_rtlil, ports_of

YOSYS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.argv[1:]:
    libyosys.run_pass(command, design)
"""

#: Initialisation of a memory to zeros, as Yosys writes it: word by word.
ZEROS = re.compile(r"  initial begin\n(?:    (\S+ ?)\[(\d+)\] = (\d+'[hd]0+);\n)+  end\n")

__all__ = ["emit_rtlil", "emit_verilog", "ports_of", "run_yosys", "streams_of"]


def run_yosys(commands):
    """Run ``commands`` of Yosys in turn, and return the output; :exc:`RuntimeError` if one fails.
    """
    # A process of its own: Yosys writes to the standard output and exits on an error.
    done = subprocess.run([sys.executable, "-c", YOSYS, *commands], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"Yosys failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def emit_verilog(component, name="top", platform=None, *, names=False):
    """Verilog of ``component`` under a header that describes its ports.

    With ``names`` every signal is kept, and every field of a structure, for waveforms; otherwise
    only those that are used.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.il"), Path(folder, "out.v")
        source.write_text(emit_rtlil(component, name, platform))
        commands = [f"read_rtlil {source}", "proc -noopt",
                    "opt_clean" if names else "opt_clean -purge",
                    f"write_verilog -noattr {target}"]
        run_yosys(commands)
        body = target.read_text()
    body = body[body.index("*/") + 2:].lstrip() if body.startswith("/*") else body
    return header(component, name) + _loop_over_zeros(body)


def _loop_over_zeros(body):
    numbers = itertools.count()

    def loop(match):
        memory, last, zero = match.groups()
        return (f"  initial begin : zeros_{next(numbers)}\n    integer word;\n"
                f"    for (word = 0; word <= {last}; word = word + 1)\n"
                f"      {memory}[word] = {zero};\n  end\n")

    return ZEROS.sub(loop, body)


def header(component, name):
    """The comment at the head of the Verilog."""
    meanings = getattr(component, "meanings", {})
    lines = [f"{name}: {type(component).__name__} of Systolith {rtl.__version__}",
             "", *_contract(component), "", *_parameters(component), "",
             "A stream moves a payload in each cycle with both its valid and its ready high; a",
             "payload once offered stays until it is taken. Reset is synchronous, active high.",
             "", f"{'port':<28} {'dir':<4} {'bits':>5}  meaning"]
    lines += [f"{port:<28} {'in':<4} {1:>5}  {text}"
              for port, text in (("clk", "clock, rising edge"), ("rst", "synchronous reset"))]
    for port, (value, member, path) in ports_of(component).items():
        flow = "in" if member.flow == In else "out"
        meaning = meanings.get(port, _meaning(path, member.shape))
        lines.append(f"{port:<28} {flow:<4} {len(value):>5}  {meaning}")
        lines += [f"{'':<28} {'':<4} {bits:>5}  . {field}" for bits, field in
                  _fields(member.shape)]
    return "".join(f"// {line}".rstrip() + "\n" for line in lines) + "\n"


def _contract(component):
    """The component's docstring as plain text."""
    text = inspect.cleandoc(type(component).__doc__ or "")
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"\1", text)
    return text.replace("``", "").splitlines()


def _parameters(component):
    values = {key: value for key, value in vars(component).items()
              if not key.startswith("_") and isinstance(value, (int, str, tuple))}
    for key, value in vars(component).items():
        if hasattr(value, "__dataclass_fields__"):
            values |= {f"{key}.{field}": getattr(value, field)
                       for field in value.__dataclass_fields__}
    return [f"{key} = {value}" for key, value in sorted(values.items())]


def _meaning(path, shape):
    match path[-1]:
        case "valid":
            return f"stream {path[-2]}: the payload is there"
        case "ready":
            return f"stream {path[-2]}: the payload is taken"
        case "payload":
            return f"stream {path[-2]}: {_describe(shape)}"
    return _describe(shape)


def _describe(shape):
    layout = layout_of(shape)
    if isinstance(layout, data.ArrayLayout):
        return f"{layout.length} x {_describe(layout.elem_shape)}, number 0 in the low bits"
    if layout is not None:
        return "fields, as below"
    shape = Shape.cast(shape)
    return (f"{'signed' if shape.signed else 'unsigned'} {shape.width} "
            f"bit{'s' if shape.width > 1 else ''}")


def _fields(shape, prefix="", offset=0):
    layout = layout_of(shape)
    if layout is None or isinstance(layout, data.ArrayLayout):
        if layout is not None and layout_of(layout.elem_shape) is not None:
            yield from _fields(layout.elem_shape, f"{prefix}[0]", offset)
        return
    for name, field in layout:
        if not field.width:
            continue
        low, high = offset + field.offset, offset + field.offset + field.width - 1
        label = f"{prefix}.{name}".lstrip(".")
        yield field.width, f"[{high}:{low}] {label}: {_describe(field.shape)}"
        yield from _fields(field.shape, label, low)


def streams_of(component):
    """Streams at the top of ``component``: name -> (member, payload shape)."""
    return {name: member for name, member in component.signature.members.items()
            if member.is_signature and isinstance(member.signature, stream.Signature)}
