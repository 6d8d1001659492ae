"""Whether a board computes what it should: its memory word by word, and networks it has to know."""

import zlib
from dataclasses import dataclass

import numpy as np

from host.compiler import compile_graph
from host.digits import held_out, model_bytes
from host.fitting import shortages
from host.golden_run import run_graph
from host.models import read_model
from rtl.accelerator.registers import OFFSET_BITS, Register, Window

__all__ = ["Check", "run_selftest"]

#: Pictures that the network has to know, and questions whose answers take a trip each.
PICTURES, PINGS = 20, 20


@dataclass(frozen=True, kw_only=True)
class Check:
    """What was looked at, whether it is well, and figures."""

    name: str
    good: bool
    text: str


def run_selftest(device, *, words=None, step=None):
    """A :class:`Check` for each part of a :class:`~host.device.Device`.

    ``words`` limits the memory that is tested. A board whose network memories cannot be read shows
    by the results of a network that it keeps them; no model tells what a multiplier does inside, so
    that is the test of those too.
    """
    say = step or (lambda text: None)
    say("link")
    yield _link(device)
    for name, flip in (("its addresses", 0), ("their complements", 0xffffffff)):
        say(f"memory of activations, holding {name}")
        yield _memory(device, name, flip, words)
    say("digits")
    yield _digits(device)


def _link(device):
    trips = sorted(device.channel.ping() for _ in range(PINGS))
    return Check(name="link", good=True,
                 text=f"answers within {trips[PINGS // 2] * 1e3:.2f} ms, at the most "
                      f"{trips[-1] * 1e3:.2f} ms")


def _memory(device, name, flip, words):
    count = device.params.activation_bytes // 4
    count = count if words is None else min(count, words)
    base = Window.ACTIVATIONS << OFFSET_BITS
    # An odd factor: all words differ, and each bit depends on the address.
    want = (np.arange(count, dtype=np.uint32) * np.uint32(2654435761)) ^ np.uint32(flip)
    device.command(Register.TAG, 0)  # a build may keep the program in that very memory
    device.channel.write(base, want)
    got = device.channel.read(base, count)
    wrong = np.flatnonzero(got != want)
    text = (f"CRC {zlib.crc32(got.tobytes()):08x} of {4 * count} bytes" if not len(wrong) else
            f"{len(wrong)} of {count} words differ, the first at {wrong[0]}: "
            f"{got[wrong[0]]:#010x}, not {want[wrong[0]]:#010x}")
    return Check(name=f"activations, holding {name}", good=not len(wrong), text=text)


def _digits(device):
    graph = read_model(model_bytes())
    if short := shortages(graph, device.params):
        return Check(name="digits", good=True,
                     text="left out: " + "; ".join(each.text for each in short))
    device.load(compile_graph(graph, device.params))
    x, output = held_out().pictures[:PICTURES], graph.outputs[0]
    want = run_graph(graph, x)[output]
    runs = [device.run(picture[None]) for picture in x]
    wrong = sum(int((run.values[output] != row).any())
                for run, row in zip(runs, want, strict=True))
    return Check(name="digits", good=not wrong,
                 text=f"{wrong} of {len(x)} results are wrong; {runs[0].cycles:,} cycles each")
