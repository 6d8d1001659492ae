# amaranth: UnusedElaboratable=no
import itertools
import random
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pyosys
import pytest
from amaranth.back import rtlil
from amaranth.sim import Simulator

from rtl.mac import KINDS
from rtl.postprocess.multiply import Multiply
from sim.primitives import load, run

CORNERS = -128, -127, -1, 0, 1, 127
#: Kinds with the families that have a circuit of their own for them.
BUILDS = [("generic", "ice40"), ("generic", "ecp5"), ("lut", "ice40"), ("lut", "ecp5"),
          ("dsp", "ecp5"), ("dsp2", "ecp5"), ("mac16", "ice40")]


def cases(kind, seed, count=150):
    """Inputs ``(x, w, swap)`` of a number of cycles, all pairs of corners and random ones."""
    rng = random.Random(f"{kind.__name__}/{seed}")

    def some():
        return rng.choice([rng.randrange(-128, 128), rng.choice(CORNERS)])

    cols = kind.max_cols
    for w, x in itertools.product(itertools.product(CORNERS, repeat=cols), CORNERS):
        if rng.random() < 0.4:  # the rest is left to chance
            yield [x] * cols, list(w), 1
    for _ in range(count):
        yield [some() for _ in range(cols)], [some() for _ in range(cols)], rng.random() < 0.3


def products(dut, inputs):
    """What the contract promises, ``latency`` cycles after each input."""
    w = None
    for x, next_w, swap in inputs:
        w = next_w if swap else w
        yield [x[0 if dut.shares_x else lane] * w[lane] for lane in range(dut.cols)]


def pack(values, width):
    return sum((value & (1 << width) - 1) << width * lane for lane, value in enumerate(values))


def check(dut, family, inputs):
    stimulus = [pack(x[:dut.cols], 8) | pack(w[:dut.cols], 8) << 8 * dut.cols
                | swap << 16 * dut.cols for x, w, swap in inputs]
    expected = [pack(values, 16) for values in products(dut, inputs)]
    results = run(dut, family, stimulus)
    assert results[dut.latency:] == expected[:len(expected) - dut.latency]


def instances(dut, family):
    """How many of which cell the component is built of."""
    return re.findall(r"cell \\(\w+) ", rtlil.convert(dut, platform=family))


@pytest.mark.parametrize("more", [0, 1, 3])
@pytest.mark.parametrize("kind, family", [*BUILDS, *((name, "generic") for name in KINDS)])
def test_every_build_keeps_the_contract(kind, family, more):
    kind = KINDS[kind]
    inputs = list(cases(kind, f"{family}/{more}"))
    for cols in range(kind.min_cols, kind.max_cols + 1):
        check(kind(cols=cols, latency=kind.min_latency + more), family, inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_twin_in_the_simulator_of_amaranth(kind):
    dut = KINDS[kind]()
    inputs = list(cases(KINDS[kind], "amaranth"))
    received = []

    async def bench(ctx):
        for x, w, swap in inputs:
            ctx.set(dut.x, x)
            ctx.set(dut.w, w)
            ctx.set(dut.swap, swap)
            *_, p = await ctx.tick().sample(dut.p)
            received.append(list(p))

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    assert received[dut.latency:] == list(products(dut, inputs))[:-dut.latency]


def test_weights_in_use_outlast_the_next():
    inputs = [([5, 5], [3, -3], 1), *(([x, -x], [100, 100], 0) for x in range(60))]
    for kind, family in BUILDS:
        check(KINDS[kind](), family, inputs)


def test_registers_of_the_primitives_make_up_for_latency():
    for name, latency, family in ("dsp", 4, "ecp5"), ("mac16", 2, "ice40"), ("mac16", 3, "ice40"):
        text = rtlil.convert(KINDS[name](latency=latency), platform=family)
        assert "\\p_" not in text  # no register of the name that those in fabric have


def test_primitives_are_used_as_advertised():
    assert instances(KINDS["dsp"](cols=2), "ecp5").count("MULT18X18D") == 2
    assert instances(KINDS["dsp2"](cols=2), "ecp5").count("MULT18X18D") == 1
    assert instances(KINDS["mac16"](cols=2), "ice40").count("SB_MAC16") == 1
    assert instances(KINDS["lut"](cols=1), "ecp5").count("CCU2C") == 20
    assert instances(KINDS["lut"](cols=1), "ice40").count("SB_CARRY") == 6 * 9


@pytest.mark.parametrize("dut", [KINDS["dsp"](), KINDS["dsp2"](), Multiply()])
def test_multipliers_keep_to_what_the_open_tools_can_set(dut):
    """Each register names its enable, or nextpnr may move that away from it; the output register,
    whose enable cannot be set, is left out."""
    text = rtlil.convert(dut, platform="ecp5")
    clocks, enables = (re.findall(rf"parameter \\REG_(\w+)_{what} ", text)
                       for what in ("CLK", "CE"))
    assert sorted(clocks) == sorted(enables)
    assert set(clocks) == {"INPUTA", "INPUTB", "PIPELINE"}


def test_packed_pair_is_exact_for_every_int8():
    """The arithmetic of "dsp2", for all 2 ** 24 cases; in plain shifts and masks."""
    x, w0 = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))
    for w1 in range(-128, 128):
        packed = x * (w1 * 512 + w0)
        assert packed.min() >= -1 << 25 and packed.max() < 1 << 25
        low = x * w1 & 127
        above, high = packed >> 9 & 127, packed >> 16
        carried = (above - low + 64 & 127) - 64
        np.testing.assert_array_equal(carried * 512 + (packed & 511), x * w0)
        change = (np.where((above >> 5 == 3) & (low >> 5 == 0), 1, 0)
                  - np.where((above >> 5 == 0) & (low >> 5 == 3), 1, 0))
        np.testing.assert_array_equal((high + change) * 128 + low, x * w1)


EXHAUSTIVE = """
#include <cstdint>
#include <cstdio>
#include "netlist.cc"

constexpr int LANES = {cols}, LATENCY = {latency};
constexpr bool SHARES_X = {shares_x};

int main() {{
    cxxrtl_design::p_top top;
    static int64_t expected[LATENCY + 1];
    uint64_t cycle = 0, wrong = 0;
    for (int w1 = -128; w1 < (LANES > 1 ? 128 : -127); w1++)
    for (int w0 = -128; w0 < 128; w0++)
    for (int x = -128; x < 128; x++, cycle++) {{
        int x1 = SHARES_X ? x : -1 - x;
        top.p_x.set<uint32_t>(LANES > 1 ? (x & 255) | (x1 & 255) << 8 : x & 255);
        top.p_w.set<uint32_t>(LANES > 1 ? (w0 & 255) | (w1 & 255) << 8 : w0 & 255);
        top.p_swap.set<uint32_t>(x == -128);
        expected[cycle % (LATENCY + 1)] = LANES > 1
            ? (int64_t)(x * w0 & 65535) | (int64_t)(x1 * w1 & 65535) << 16 : x * w0 & 65535;
        top.p_clk.set(false); top.step();
        if (cycle >= LATENCY)
            wrong += expected[(cycle + 1) % (LATENCY + 1)] != top.p_p.get<uint32_t>();
        top.p_clk.set(true); top.step();
    }}
    printf("%llu of %llu", (unsigned long long)wrong, (unsigned long long)cycle);
}}
"""


@pytest.mark.parametrize("kind, family, cols", [
    ("dsp2", "ecp5", 2), ("lut", "ecp5", 1), ("lut", "ice40", 1), ("dsp", "ecp5", 1),
    ("mac16", "ice40", 2)])
def test_exhaustively(kind, family, cols):
    dut = KINDS[kind](cols=cols)
    headers = Path(pyosys.__file__).parent / "share/include/backends/cxxrtl/runtime"
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        load(dut, family).run_pass(f"write_cxxrtl {folder}/netlist.cc")
        (folder / "main.cc").write_text(EXHAUSTIVE.format(
            cols=cols, latency=dut.latency, shares_x=str(dut.shares_x).lower()))
        subprocess.run(["g++", "-std=c++17", "-O2", f"-I{headers}", "main.cc", "-o", "main"],
                       cwd=folder, check=True)
        result = subprocess.run([folder / "main"], capture_output=True, check=True, text=True)
    assert result.stdout == f"0 of {256 ** (cols + 1)}"


@pytest.mark.parametrize("kind, family, message", [
    ("dsp", "ice40", "DspProduct needs ecp5 primitives, which ice40 has not"),
    ("dsp2", "ice40", "Dsp2Product needs ecp5 primitives, which ice40 has not"),
    ("mac16", "ecp5", "Mac16Product needs ice40 primitives, which ecp5 has not"),
])
def test_refuses_another_family(kind, family, message):
    with pytest.raises(NotImplementedError, match=f"^{message}$"):
        KINDS[kind]().elaborate(family)


@pytest.mark.parametrize("kind, parameters, error, message", [
    ("generic", {"cols": 0}, ValueError, "cols must be between 1 and 2, not 0"),
    ("lut", {"cols": 3}, ValueError, "cols must be between 1 and 2, not 3"),
    ("dsp2", {"cols": 1}, ValueError, "cols must be between 2 and 2, not 1"),
    ("dsp2", {"latency": 3}, ValueError, "latency must be between 4 and 16, not 3"),
    ("mac16", {"latency": 17}, ValueError, "latency must be between 2 and 16, not 17"),
    ("dsp", {"cols": 1.0}, TypeError, "cols must be an integer, not 1.0"),
    ("dsp", {"latency": "2"}, TypeError, "latency must be an integer, not '2'"),
])
def test_rejects(kind, parameters, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        KINDS[kind](**parameters)
