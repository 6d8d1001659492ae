# amaranth: UnusedElaboratable=no
import functools

import numpy as np
import pytest

from rtl.postprocess import Requantizer
from sim.compiled import CompiledSim
from sim.golden.requantize import requantize, requantize_float32


@functools.cache
def compiled(drain_lanes, cycles, rounding="tflm", twice=False, bits=32):
    return CompiledSim(Requantizer(drain_lanes=drain_lanes, cycles=cycles, rounding=rounding,
                                   twice=twice, bits=bits))


def stimulus(rng, groups, drain_lanes):
    """Channel groups of a few beats, with parameters from all over their range."""
    beats = rng.integers(1, 12, groups)
    shape = (groups, drain_lanes)
    multiplier = rng.integers(1 << 30, 1 << 31, shape)
    shift = rng.integers(0, 32, shape)
    extreme = rng.random(shape) < 0.3
    multiplier[extreme] = rng.choice([0, 1 << 30, (1 << 31) - 1, (1 << 34) - 1, 1 << 31], shape)[
        extreme]
    shift[multiplier >= 1 << 31] = 0
    bias = rng.integers(-1 << 20, 1 << 20, shape)
    large = rng.random(shape) < 0.2
    bias[large] = rng.choice([-1 << 31, (1 << 31) - 1, -1, 0], shape)[large]
    last = np.concatenate([np.arange(count) == count - 1 for count in beats])
    group = np.repeat(np.arange(groups), beats)
    # Accumulators whose outputs are small, ties among them, and others from everywhere.
    scale = np.maximum(multiplier[group] / 2.0**31 / 2.0**shift[group], 2.0**-31)
    target = rng.integers(-300, 301, scale.shape) / 2
    acc = np.clip(np.rint(target / scale), -1 << 31, (1 << 31) - 1).astype(np.int64) - bias[group]
    acc += rng.integers(-1, 2, acc.shape)
    wild = rng.random(acc.shape) < 0.2
    acc[wild] = rng.choice([-1 << 31, (1 << 31) - 1, 0, -1, 1, -1 << 30, 1 << 30], acc.shape)[wild]
    acc = (acc + (1 << 31)) % (1 << 32) - (1 << 31)
    return acc, last, group, {"bias": bias, "multiplier": multiplier, "shift": shift}


@pytest.mark.parametrize("go", [1.0, 0.6])
@pytest.mark.parametrize("drain_lanes, cycles, rounding", [
    (1, 1, "tflm"), (3, 1, "tflm"), (1, 1, "both"), (1, 2, "tflm"), (2, 3, "tflm"), (1, 4, "tflm"),
    (1, 6, "tflm")])
def test_equals_tflm(drain_lanes, cycles, rounding, go):
    rng = np.random.default_rng([drain_lanes, cycles])
    sim = compiled(drain_lanes, cycles, rounding)
    for zero_point, low, high in [(0, -128, 127), (-128, -128, 127), (127, -20, 127), (-7, -7, 60)]:
        acc, last, group, params = stimulus(rng, 400, drain_lanes)
        sim.reset()
        sim.stall(drain_lanes, go)
        sim.set("range", {"zero_point": zero_point, "low": low, "high": high})
        sim.push("params", params)
        sim.push("i", {"acc": acc, "last": last})
        sim.run({"o": len(acc), "params": len(params["bias"])})
        o = sim.pull("o")
        expected = requantize(acc, *(params[name][group] for name in
                                     ("bias", "multiplier", "shift")), zero_point, low, high)
        np.testing.assert_array_equal(o["data"], expected)
        np.testing.assert_array_equal(o["last"], last)
        assert len(np.unique(expected)) > 50


@pytest.mark.parametrize("go", [1.0, 0.5])
@pytest.mark.parametrize("drain_lanes, cycles, rounding", [
    (2, 1, "tflm"), (1, 1, "both"), (2, 3, "tflm")])
def test_two_streams(drain_lanes, cycles, rounding, go):
    """Each with parameters and a range of its own, in any order."""
    rng = np.random.default_rng([drain_lanes, cycles, 2])
    sim = compiled(drain_lanes, cycles, rounding, twice=True)
    ranges = {"range": (-7, -100, 90), "again_range": (60, -60, 127)}
    names = "bias", "multiplier", "shift"
    for _ in range(3):
        acc, last, group, params = stimulus(rng, 200, drain_lanes)
        others, ends, _, scales = stimulus(rng, 200, drain_lanes)
        one = {name: scales[name][0, 0] for name in names}
        sim.reset()
        sim.stall(drain_lanes, go)
        for name, limits in ranges.items():
            sim.set(name, dict(zip(("zero_point", "low", "high"), limits, strict=True)))
        sim.set("again_params", one)
        sim.push("params", params)
        sim.push("i", {"acc": acc, "last": last})
        sim.push("again", {"acc": others, "last": ends})
        sim.run({"o": len(acc) + len(others), "params": len(params["bias"])})
        o = sim.pull("o")
        again = o["again"].astype(bool)
        assert go == 1 or 20 < np.flatnonzero(again[:-1] != again[1:]).size
        np.testing.assert_array_equal(o["data"][~again], requantize(
            acc, *(params[name][group] for name in names), *ranges["range"]))
        np.testing.assert_array_equal(o["data"][again], requantize(
            others, *(one[name] for name in names), *ranges["again_range"]))
        np.testing.assert_array_equal(o["last"][~again], last)
        np.testing.assert_array_equal(o["last"][again], ends)


@pytest.mark.parametrize("go", [1.0, 0.5])
@pytest.mark.parametrize("cycles, bits, twice", [(3, 29, False), (3, 29, True), (4, 32, False)])
def test_small(cycles, bits, twice, go):
    """Sums at both ends of what takes a cycle less; others of all the bits, and in turns."""
    rng = np.random.default_rng([cycles, bits, 3])
    sim = compiled(1, cycles, twice=twice, bits=bits)
    core = Requantizer(cycles=cycles, bits=bits)
    for narrow in (1, 0):
        least, most = core.short_acc_range if narrow else (-1 << bits - 1, (1 << bits - 1) - 1)
        acc, last, group, params = stimulus(rng, 200, 1)
        bias = params["bias"][group]
        x = np.clip(acc + bias, least, most)
        ends = rng.random(x.shape) < 0.2
        x[ends] = rng.choice([least, least + 1, most - 1, most], x.shape)[ends]
        acc = (x - bias + (1 << 31)) % (1 << 32) - (1 << 31)
        sim.reset()
        sim.stall(cycles, go)
        limits = {"zero_point": -7, "low": -100, "high": 90}
        sim.set("range", limits)
        sim.set("narrow", narrow)
        sim.push("params", params)
        sim.push("i", {"acc": acc, "last": last})
        others = np.zeros((0, 1), np.int64)
        if twice:
            one = {name: values[0, 0] for name, values in params.items()} | {"bias": 0}
            others = rng.choice([-1 << bits - 1, (1 << bits - 1) - 1, 0, -1, 77], (len(acc), 1))
            sim.set("again_range", limits)
            sim.set("again_params", one)
            sim.push("again", {"acc": others, "last": others[:, 0] > 0})
        sim.run({"o": len(acc) + len(others), "params": len(params["bias"])})
        o = sim.pull("o")
        again = o["again"].astype(bool) if twice else np.zeros(len(acc), bool)
        np.testing.assert_array_equal(o["data"][~again], requantize(
            acc, bias, params["multiplier"][group], params["shift"][group], *limits.values()))
        if twice:
            np.testing.assert_array_equal(o["data"][again], requantize(
                others, *one.values(), *limits.values()))


def float32_stimulus(rng, groups, drain_lanes):
    """Scales of all sizes, accumulators that are or end up near ties, and any others."""
    acc, last, group, params = stimulus(rng, groups, drain_lanes)
    scale = np.exp2(rng.uniform(-34, 3, (groups, drain_lanes))).astype(np.float32)
    even = rng.random(scale.shape)
    scale[even < 0.3] = np.exp2(rng.integers(-34, 3, scale.shape)).astype(np.float32)[even < 0.3]
    scale[even > 0.97] = 0
    # Scales of few bits make products that lie on ties of both roundings.
    short = rng.random(scale.shape) < 0.3
    scale[short] = (scale.view(np.uint32) & 0xfff80000).view(np.float32)[short]
    x = rng.integers(-700, 701, acc.shape) / 2 / np.maximum(scale[group], 2.0**-40)
    x = np.clip(np.rint(x), -1 << 31, (1 << 31) - 1).astype(np.int64)
    x += rng.integers(-1, 2, acc.shape)
    wide = rng.random(acc.shape) < 0.3  # ties of an int32 between two float32
    x[wide] = ((rng.integers(-1 << 23, 1 << 23, acc.shape) << 8)
               + (rng.choice([1, 2, 4, 8, 16, 32, 64, 128], acc.shape)))[wide]
    wild = rng.random(acc.shape) < 0.2
    acc = np.where(wild, acc, x - params["bias"][group])
    acc = (acc + (1 << 31)) % (1 << 32) - (1 << 31)
    return acc, last, group, params | {"multiplier": scale.view(np.uint32).astype(np.int64)}, scale


@pytest.mark.parametrize("rounding, drain_lanes, go", [("float32", 2, 1.0), ("both", 1, 0.6)])
def test_equals_float32(rounding, drain_lanes, go):
    rng = np.random.default_rng(drain_lanes)
    sim = compiled(drain_lanes, 1, rounding)
    for zero_point, low, high in [(0, -128, 127), (-128, -128, 127), (127, -20, 127), (-7, -7, 60)]:
        acc, last, group, params, scale = float32_stimulus(rng, 4000, drain_lanes)
        sim.reset()
        sim.stall(drain_lanes, go)
        sim.set("range", {"zero_point": zero_point, "low": low, "high": high})
        if rounding == "both":
            sim.set("float32", 1)
        sim.push("params", params)
        sim.push("i", {"acc": acc, "last": last})
        sim.run({"o": len(acc), "params": len(params["bias"])})
        expected = requantize_float32(acc, params["bias"][group], scale[group], zero_point, low,
                                      high)
        np.testing.assert_array_equal(sim.pull("o")["data"], expected)
        assert len(np.unique(expected)) > 50


@pytest.mark.parametrize("cycles, narrow", [
    (1, 0), (2, 0), (3, 0), (3, 1), (4, 0), (4, 1), (6, 0), (6, 1)])
def test_cycles(cycles, narrow):
    sim = compiled(1, cycles)
    sim.reset()
    sim.stall(0, 1.0)
    if narrow:
        sim.set("narrow", 1)
    groups, beats = 5, 40
    last = np.arange(groups * beats) % beats == beats - 1
    one = np.ones((groups, 1), np.int64)
    sim.push("params", {"bias": 0 * one, "multiplier": one << 30, "shift": one})
    sim.push("i", {"acc": np.arange(groups * beats)[:, None], "last": last})
    sim.run({"o": groups * beats})
    (_, start, _), (_, first, end) = sim.record("i"), sim.record("o")
    assert first - start == Requantizer(cycles=cycles).latency - narrow
    assert end - first == (groups * beats - 1) * (cycles - narrow) + 2 * (groups - 1) * (cycles > 1)


@pytest.mark.parametrize("changes, error, message", [
    ({"drain_lanes": 0}, ValueError, "drain_lanes must be between 1 and 32, not 0"),
    ({"cycles": 5}, ValueError, "cycles must be one of 1, 2, 3, 4, 6, not 5"),
    ({"rounding": "half_up"}, ValueError,
     "rounding must be one of tflm, float32, both, not 'half_up'"),
    ({"rounding": "both", "cycles": 3}, ValueError,
     ("cycles must be 1 for the rounding both, not 3: the serial multiplier drops the bits that a "
      "float32 is rounded by")),
])
def test_refuses(changes, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        Requantizer(**changes)
