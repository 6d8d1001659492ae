"""Whether a board computes what it should: its memories word by word, a network it has to know."""

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rtl.accelerator import AcceleratorParams
from rtl.accelerator.registers import OFFSET_BITS, Register, Window
from sim.golden.types import Int8
from systolith.compiler import Program, compile_graph
from systolith.compiler.codegen.program import encode, gather
from systolith.compiler.fitting import Shortage, shortages
from systolith.frontends.model_file import read_model
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import Graph, Tensor, make_operator
from systolith.runtime.device import Device
from systolith.runtime.transfers import Words
from systolith.zoo.digits import held_out, model_bytes

__all__ = ["Check", "run_selftest"]

#: Images that the network has to know, and questions whose answers take a trip each.
IMAGES, PINGS = 20, 20

#: What memories hold: each word differs from all others, and then the complement of each.
PATTERNS = ("its addresses", 0), ("their complements", 0xffffffff)


@dataclass(frozen=True, kw_only=True)
class Check:
    """What was looked at, whether it is well, and figures."""

    name: str
    good: bool
    text: str


def run_selftest(device: Device, *, words: int | None = None,
                 step: Callable[[str, float], None] | None = None) -> Iterator[Check]:
    """A :class:`Check` for each part of a :class:`~systolith.runtime.device.Device`.

    Activations are written and read. Weights cannot be read, but a convolution gives them: of an
    image whose pixel ``n`` is 1 in channel ``n`` and 0 elsewhere, the results at pixel ``n`` are
    the weights of channel ``n``. So each byte of that memory has its say, by way of the array.
    Where one memory holds everything, the test of activations is one of all of it.

    ``words`` limits the words of each memory that are tested. Separate memories of parameters and
    descriptors show by the results of a network alone; no model tells what a multiplier does
    inside, so that is the test of those too.

    ``step`` is called as each part begins, with what that is and the share of the work before it.
    """
    params, done = device.params, 0
    activations = 4 * _count(params.activation_bytes // 4, words)
    weights = 0 if params.single_memory else params.array.cols * _count(params.spaces["weights"],
                                                                        words)

    def say(text: str, part: float = 0) -> None:
        if step:
            step(text, (done + part) / (len(PATTERNS) * (activations + weights)))

    say("link")
    yield _link(device)
    for name, flip in PATTERNS:
        say(f"memory of activations, holding {name}")
        yield _memory(device, name, flip, words)
        done += activations
    for name, flip in PATTERNS if weights else ():
        yield _weights(device, name, flip, words, lambda text, share: say(text, share * weights))
        done += weights
    say("digits")
    yield _digits(device)


def _count(there: int, words: int | None) -> int:
    """Words of a memory that are tested."""
    return there if words is None else min(there, words)


def _link(device: Device) -> Check:
    trips = sorted(device.channel.ping() for _ in range(PINGS))
    return Check(name="link", good=True,
                 text=f"answers within {trips[PINGS // 2] * 1e3:.2f} ms, at the most "
                      f"{trips[-1] * 1e3:.2f} ms")


def _pattern(count: int, flip: int) -> Words:
    """Words that all differ: an odd factor makes each bit depend on the address."""
    return (np.arange(count, dtype=np.uint32) * np.uint32(2654435761)) ^ np.uint32(flip)


def _compared(name: str, unit: str, got: np.ndarray, want: np.ndarray) -> Check:
    """The check of what memory gave, and should have: a row for each ``unit``."""
    wrong = np.flatnonzero((got != want).reshape(len(want), -1).any(axis=1))
    text = f"CRC {zlib.crc32(got.tobytes()):08x} of {got.nbytes} bytes"
    if len(wrong):
        first = wrong[0]
        text = (f"{len(wrong)} of {len(want)} {unit} differ, the first at {first}: 0x"
                f"{_hex(got[first])}, not 0x{_hex(want[first])}")
    return Check(name=name, good=not len(wrong), text=text)


def _hex(word: np.ndarray) -> str:
    """The highest byte first, as it is the last in memory."""
    return word.tobytes()[::-1].hex()


def _memory(device: Device, name: str, flip: int, words: int | None) -> Check:
    count = _count(device.params.activation_bytes // 4, words)
    base, want = Window.ACTIVATIONS << OFFSET_BITS, _pattern(count, flip)
    device.command(Register.TAG, 0)  # a build may keep the program in that very memory
    device.channel.write(base, want)
    return _compared(f"activations, holding {name}", "words", device.channel.read(base, count),
                     want)


def _weights(device: Device, name: str, flip: int, words: int | None,
             say: Callable[[str, float], None]) -> Check:
    """All of them are there before the first are looked at, so that none lies in another's place.
    """
    title = f"weights, holding {name}"
    params = device.params
    cols, count = params.array.cols, _count(params.spaces["weights"], words)
    graph, x = _mirror(params, count)
    if short := shortages(graph, params):
        return _left_out(title, short)
    program, part = compile_graph(graph, params), math.prod(graph.tensors[1].shape) // cols
    want = _pattern(-(-count * cols // 4), flip).view(np.int8)[:count * cols].reshape(count, cols)
    got = np.empty_like(want)
    starts = [*range(0, count - part, part), count - part]
    device.command(Register.TAG, 0)
    for base in starts:
        say(f"memory of weights, written up to word {base:,} of {count:,}", base / count / 2)
        device.write(Window.WEIGHTS, want[base:base + part], base)
    for base in starts:
        say(f"memory of weights, holding {name}, read up to word {base:,} of {count:,}",
            (1 + base / count) / 2)
        device.load(_reading(program, base))
        result = device.run(x).values[graph.outputs[0]]
        # By row of the array and filter; in memory, the rows of `cols` filters follow each other.
        got[base:base + part] = result.reshape(params.array.rows, -1, cols).swapaxes(0, 1).reshape(
            -1, cols)
    return _compared(title, "words", got, want)


def _mirror(params: AcceleratorParams, count: int) -> tuple[Graph, Int8]:
    """A convolution that has its weights for results, and the image for that: as many filters as
    there may be, find room, and have weights in ``count`` words."""
    rows, cols = params.array.rows, params.array.cols
    most = min(params.channels, params.activation_bytes // (2 * rows), count // rows * cols)
    filters = max(most // cols, 1) * cols
    weights = np.random.default_rng(0).integers(-128, 128, (filters, 1, 1, rows)).astype(np.int8)
    one = (1.0,)
    tensors = (Tensor(name="x", shape=(1, rows, 1, rows), scales=one),
               Tensor(name="weights", shape=weights.shape, data=weights, scales=one),
               Tensor(name="y", shape=(1, rows, 1, filters), scales=one))
    conv = make_operator(kind="CONV_2D", inputs=(0, 1), outputs=(2,), attributes={
        "stride": (1, 1), "dilation": (1, 1), "padding": ((0, 0), (0, 0)), "range": (-128, 127)})
    rounding = "float32" if params.rounding == "float32" else "tflm"
    return (Graph(tensors=tensors, operators=(conv,), inputs=(0,), outputs=(2,), rounding=rounding),
            np.eye(rows, dtype=np.int8).reshape(1, rows, 1, rows))


def _reading(program: Program, base: int) -> Program:
    """``program``, with the weights that lie from word ``base`` on, whatever they are."""
    areas = {**program.areas, Window.WEIGHTS: base}
    *_, bases = gather(program.layers, program.params.array.cols)
    descriptors = encode(program.params, program.graph.rounding, program.layers,
                         {len(program.layers)}, bases, areas)
    return replace(program, areas=areas, descriptors=descriptors, weights=program.weights[:0])


def _left_out(name: str, short: Sequence[Shortage]) -> Check:
    return Check(name=name, good=True,
                 text="left out: " + "; ".join(each.text for each in short))


def _digits(device: Device) -> Check:
    graph = read_model(model_bytes())
    if short := shortages(graph, device.params):
        return _left_out("digits", short)
    device.load(compile_graph(graph, device.params))
    x, output = held_out().images[:IMAGES], graph.outputs[0]
    want = run_graph(graph, x)[output]
    runs = [device.run(image[None]) for image in x]
    wrong = sum(int((run.values[output] != row).any())
                for run, row in zip(runs, want, strict=True))
    return Check(name="digits", good=not wrong,
                 text=f"{wrong} of {len(x)} results are wrong; {runs[0].cycles:,} cycles each")
