# amaranth: UnusedElaboratable=no
"""Figures of layers and networks, and the record of clocks behind them."""

import functools
import hashlib
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

import boards.flow.clocks
from boards.board import board_of
from boards.flow.bitstream import prepare
from boards.flow.clocks import Clock, measure, read_clocks, stale, write_clocks
from boards.flow.tools import tool_versions
from rtl.link.protocol import INFO, WORDS, Kind, Status
from sim.virtual_board import VirtualBoard
from systolith.benchmarks import anchors
from systolith.benchmarks import layers as bench_layers
from systolith.benchmarks.networks import Figures, bench_networks, networks
from systolith.benchmarks.plots import bytes_a_cycle, costs
from systolith.benchmarks.wire import ANSWER, REQUEST, CountedAccelerator, uart_seconds
from systolith.cli import app
from systolith.cli.bench import _show
from systolith.compiler import compile_graph
from systolith.compiler.cost.layers import CycleModel
from systolith.compiler.cost.machine import Machine
from systolith.compiler.fitting import small_build
from systolith.frontends.tflite import read_tflite
from systolith.runtime.device import Device
from systolith.runtime.driver import AcceleratorDriver
from systolith.runtime.link import Channel, Pipe
from systolith.runtime.link.frames import Unframer, frame
from systolith.runtime.link.simulated import SimulatedPipe
from systolith.zoo.digits import held_out, model_bytes
from tests.support.paths import MODELS

BOARD = board_of("icebreaker")


@functools.cache
def netlist_hash():
    return prepare(BOARD).netlist_hash


def a_clock(**changes):
    return Clock(**{
        "board": BOARD.name, "clock_mhz": 24.0, "seeds": [1, 2, 3], "mhz": [23.5, 24.5, 26.0],
        "luts": 5000, "ffs": 3000, "dsps": 8, "rams": 28, "sprams": 4, "critical_path": "a to b",
        "seconds": [90, 80, 85], "netlist_hash": netlist_hash(),
        "tools": tool_versions("ice40")} | changes)


@pytest.fixture
def record(tmp_path, monkeypatch):
    """Puts clocks on a record of this test's own."""
    file = tmp_path / "clocks.json"
    monkeypatch.setattr(boards.flow.clocks.read_clocks, "__defaults__", (file,))
    monkeypatch.setattr(boards.flow.clocks.write_clocks, "__defaults__", (file,))
    write_clocks({})
    return lambda clock: write_clocks({clock.board: clock})


def bench(*words):
    result = CliRunner().invoke(app, ["bench", *words])
    assert not result.exception or isinstance(result.exception, SystemExit), result.exception
    return result


def test_layers(monkeypatch):
    monkeypatch.setattr(bench_layers, "LAYERS", {
        name: bench_layers.LAYERS[name] for name in ["depthwise 3x3, 64, 25x5"]})
    layers = json.loads(bench("--layers", "--json").stdout)["layers"]
    assert [row["layer"] for row in layers] == ["depthwise 3x3, 64, 25x5", bench_layers.GEMM]
    assert layers[0]["cycles"] <= 3600
    assert layers[1]["utilisation"] >= 0.99


def test_network_on_a_board(record, monkeypatch, tmp_path):
    record(a_clock())
    monkeypatch.setattr(anchors, "REFERENCES", {
        hashlib.sha256(model_bytes()).hexdigest()[:16]: "DS-CNN"})
    file = tmp_path / "copy.tflite"
    file.write_bytes(model_bytes())
    result = bench(str(file), "--json", "--plot", str(tmp_path / "plot.svg"))
    assert result.exit_code == 0
    digits, same = json.loads(result.stdout)
    assert (digits["network"], same["network"]) == ("digits", "DS-CNN")
    assert digits["board"] == "icebreaker" and digits["clock_mhz"] == 24
    assert digits["cycles"] == same["cycles"] > digits["floor_cycles"] > 1000
    assert digits["utilisation"] == digits["floor_cycles"] / digits["cycles"]
    assert digits["inferences_per_s"] == pytest.approx(24e6 / digits["cycles"])
    assert 0 < digits["link_inferences_per_s"] <= digits["inferences_per_s"]
    assert digits["seeds"] == {"1": 23.5, "2": 24.5, "3": 26.0}
    assert digits["tools"] == tool_versions("ice40") and not digits["ratios"]
    assert same["ratios"]["fpgaConvNet, v1.1 on ZyBo XC7Z010, 125 MHz"] == pytest.approx(
        same["inferences_per_s"] / 465)
    assert b"<svg" in (tmp_path / "plot.svg").read_bytes()


@pytest.mark.parametrize("changes, problem", [
    ({"netlist_hash": "0" * 20}, "the design is another one by now"),
    ({"tools": {"amaranth": "0.1", "pyosys": "0", "nextpnr-ice40": "0"}}, "amaranth was 0.1"),
])
def test_stale_clocks_are_refused(record, changes, problem):
    clock = a_clock(**changes)
    assert problem in stale(clock, BOARD)
    record(clock)
    result = bench()
    assert result.exit_code == 1
    assert "the clock on record is stale" in " ".join(result.output.split())
    row, = json.loads(bench("--json").stdout)
    assert row["inferences_per_s"] is row["link_inferences_per_s"] is None
    assert row["cycles"] and problem in row["problem"]


@pytest.mark.parametrize("why, status, problem", [
    ("", 0, ""), ("another design", 1, "the clock on record is stale: another design")])
def test_networks_that_a_board_does_not_run(record, monkeypatch, why, status, problem):
    """They are told, and so is what is wrong with its clock."""
    monkeypatch.setattr("systolith.benchmarks.networks.stale", lambda *_: why)
    record(a_clock(board="hx8k"))
    result = bench("--json")
    row, = json.loads(result.stdout)
    assert row.keys() == {"network", "board", "problem"} and result.exit_code == status
    assert (row["network"], row["board"]) == ("digits", "hx8k")
    assert row["problem"].startswith("does not run: ") and problem in row["problem"]
    shown = bench()
    words = " ".join(shown.output.split())
    assert shown.exit_code == status and "hx8k: does not run digits: " in words
    assert problem in words and "go to done" not in words
    assert ("stale" in words) == bool(status)


def test_missed_clock_gives_no_rate(record):
    record(a_clock(mhz=[20.0, 23.0, 26.0]))
    figures, = bench_networks(networks([]), [BOARD])
    assert figures.per_second is figures.link_per_second is None
    assert figures.problem == (
        "timing is not met at 24 MHz: Fmax is 23 MHz, the median of 3 seeds")


def test_a_design_is_built_once_for_its_hash(monkeypatch, tmp_path):
    prepared = []

    def prepare(board):
        prepared.append(board.mhz)
        return SimpleNamespace(netlist_hash=f"of {board.mhz} MHz")

    monkeypatch.setattr(boards.flow.clocks, "BUILD", tmp_path)
    monkeypatch.setattr(boards.flow.clocks, "prepare", prepare)
    clock = a_clock(netlist_hash="of 24 MHz", tools=tool_versions("ice40"))
    faster = replace(BOARD, mhz=30)
    for _ in range(2):
        assert stale(clock, BOARD) == ""
        assert stale(clock, faster) == "the design is another one by now"
    assert prepared == [24, 30]
    (tmp_path / "rtl").mkdir()
    (tmp_path / "rtl" / "changed.py").write_text("other = 1")
    monkeypatch.setattr(boards.flow.clocks, "ROOT", tmp_path)
    stale(clock, BOARD)
    assert prepared == [24, 30, 24]


def test_clock_is_met_by_the_median():
    assert a_clock(mhz=[20.0, 24.0, 24.5]).met
    assert not a_clock(mhz=[23.9, 23.9, 30.0]).met


@pytest.mark.parametrize("clock", read_clocks().values(), ids=read_clocks())
def test_timing_is_met_from_every_seed_on_record(clock):
    board = board_of(clock.board)
    # Region and route of a full 85F takes the longest.
    least = 1 if board.device == "lfe5u-85f" else 3
    assert len(clock.mhz) == len(clock.seconds) == len(set(clock.seeds)) >= least
    assert min(clock.mhz) >= clock.clock_mhz
    assert 0.9 * board.mhz <= clock.clock_mhz <= board.mhz


@pytest.mark.heavy
@pytest.mark.parametrize("clock", read_clocks().values(), ids=read_clocks())
def test_clocks_on_record_are_of_the_boards(clock):
    assert stale(clock, board_of(clock.board)) == ""


def test_board_without_a_clock(record):
    figures, = bench_networks(networks([]), [BOARD])
    assert figures.problem == "no clock on record" and figures.clock_mhz is None


def test_sdram_is_that_of_the_board(record):
    """Its times, in cycles of the board's clock, tell in what a network takes."""
    board = replace(board_of("ulx3s-25f"), params=small_build(
        4, 4, sdram_bits=16, weight_bytes=1 << 22))
    slow = replace(board.sdram, rcd=5 * board.sdram.rcd)
    usual, late, quick = (each.cycles for each in bench_networks(networks([]), [
        board, replace(board, sdram=slow), replace(board, mhz=133)]))
    assert late > usual != quick


@pytest.mark.parametrize("words, message", [
    ([], "no clock of any board is on record"),
    (["--record"], "--record needs --board"),
    (["--seeds", "1", "--board", "icebreaker"], "--seeds are those of --record"),
    (["--layers", "--seeds", "1"], "--seeds are those of --record"),
    (["--board", "icebreaker", "--plot", "no/x.png"], "no/x.png: there is no folder no"),
    (["--board", "icebreaker", "--plot", "x.foo"], "x.foo: an image is .png, .svg or .pdf"),
    (["--board", "icebreaker", "--plot", "x"], "x: an image is .png, .svg or .pdf"),
    (["--layers", "--board", "icebreaker"], "--layers takes neither models nor boards"),
    (["--board", "arty"], "board must be one of"),
    (["none.onnx", "--board", "icebreaker"], "none.onnx: No such file"),
])
def test_refuses(record, monkeypatch, words, message):
    """Before any work is done."""
    monkeypatch.setattr("systolith.benchmarks.networks.bench_networks", lambda *_: 1 / 0)
    result = CliRunner().invoke(app, ["bench", *words])
    assert result.exit_code == 1 and message in str(result.exception)


def test_record(record, monkeypatch):
    """Clocks of all seeds go on record, cells and path of the median one; others stay."""
    record(a_clock(board="other"))
    monkeypatch.setattr(boards.flow.clocks, "build_bitstream", fake_build)
    assert measure(BOARD, (4, 5, 6)).mhz == [28.0, 25.0, 31.0]
    assert measure(BOARD, (4, 5)).critical_path == "path 5"  # of two, the slower
    bench("--record", "--board", "icebreaker")
    clocks = read_clocks()
    assert list(clocks) == ["icebreaker", "other"]
    assert clocks["icebreaker"] == Clock(
        board="icebreaker", clock_mhz=24, seeds=[2, 3, 4], mhz=[19.0, 22.0, 28.0], luts=103,
        ffs=10, dsps=8, rams=3, sprams=4, critical_path="path 3", seconds=[60, 60, 60],
        netlist_hash="hash", tools={"nextpnr": "1"})
    assert clocks["icebreaker"].median == 22 and not clocks["icebreaker"].met
    assert board_of("hx8k").seed == 2
    monkeypatch.setattr("systolith.benchmarks.networks.bench_networks", lambda *_: [])
    bench("--record", "--board", "hx8k", "--seeds", "1")
    assert read_clocks()["hx8k"].seeds == [2]


def fake_build(board, seed, progress):
    class Build:
        clock_mhz, mhz = 24, {4: 28.0, 5: 25.0, 6: 31.0}.get(seed, 13.0 + 3 * seed)
        luts, ffs, dsps, rams, sprams, netlist_hash = 100 + seed, 10, 8, 3, 4, "hash"
        critical_path, seconds, tools = f"path {seed}", {"place and route": 60.4}, {"nextpnr": "1"}

    progress("routing")
    return Build


def test_link_rate():
    """The UART works while the accelerator does, if both halves of the memories are there."""
    figures = Figures(network="a", board="b", products=16, cycles=240_000, floor_cycles=1,
                      link_cycles=240_000, wire_seconds=0.03, overlapped=True, clock=a_clock())
    assert figures.per_second == pytest.approx(100)
    assert figures.link_per_second == pytest.approx(1 / 0.03)
    assert replace(figures, wire_seconds=0.001).link_per_second == pytest.approx(100)
    assert replace(figures, overlapped=False).link_per_second == pytest.approx(25)
    compact = replace(figures, link_cycles=480_000, wire_seconds=0.001)
    assert compact.link_per_second == pytest.approx(50) and compact.per_second == figures.per_second


def test_comparison_with_published_figures(capsys):
    """Some have published one network, some cycles, which need no clock, some other networks."""
    figures = Figures(network="DS-CNN", board="icebreaker", products=16, cycles=240_000,
                      floor_cycles=1, link_cycles=240_000, wire_seconds=0, overlapped=True,
                      clock=a_clock())
    ratios = figures.as_dict()["ratios"]
    cfu = "CFU-Playground, kws_micro_accel on iCE40UP5K (by cycles)"
    assert ratios[cfu] == 25.2e6 / 240_000
    assert ratios["TFLM, v0.5 on Cortex-M4, 120 MHz"] == pytest.approx(100 / 5.5)
    assert not any("ZC706" in title for title in ratios)
    assert list(replace(figures, problem="stale").as_dict()["ratios"]) == [cfu]
    images = replace(figures, network="ResNet-8").as_dict()["ratios"]
    assert images["fpgaConvNet, v1.1 on ZC706, 187 to 200 MHz"] == pytest.approx(100 / 6790)
    assert cfu not in images and len(images) == len(anchors.ANCHORS) - 1
    assert all("open division, other networks" in title for title in images if "hls4ml" in title)
    _show([figures, replace(figures, network="ResNet-8")])
    shown = capsys.readouterr().out
    assert "…" not in shown and "25.2 M cycles" in shown and "18.18" in shown and "105" in shown


def test_spi_has_no_rate_of_its_own(record, capsys):
    """The other end says how fast the bus is."""
    spi = replace(BOARD, name="spi", link="spi", pins=board_of("upduino-spi").pins)
    uart, spi = bench_networks(networks([]), [BOARD, spi])
    assert spi.wire_seconds is None and uart.wire_seconds > 0 and uart.link_problem == ""
    spi = replace(spi, clock=a_clock(), problem="")
    row = spi.as_dict()
    assert row["inferences_per_s"] == pytest.approx(24e6 / row["cycles"])
    assert row["link_inferences_per_s"] is None and "SPI" in row["link_problem"]
    _show([spi])
    assert "spi: no rate over SPI" in capsys.readouterr().out


@pytest.mark.parametrize("words", [1, 10, WORDS])
def test_bytes_on_the_wire(words):
    assert len(frame(bytes(5 + 4 * words))) == REQUEST + 4 * words
    assert len(frame(bytes(2 + 4 * words))) == ANSWER + 4 * words


def test_bytes_of_a_run_are_those_on_a_link():
    graph = read_tflite(model_bytes())
    params = small_build(4, 4)
    board = VirtualBoard(params)
    counted = CountedAccelerator(params)
    program = compile_graph(graph, params)
    try:
        device = Device(SimulatedPipe(board))
        x = held_out().images[:1]
        for target in device, counted:
            target.load(program)
            target.run(x)
        counted.clear()
        counts, before = device.channel.counts, replace(device.channel.counts)
        for target in device, counted:
            target.run(x)
        assert counts.retries == 0
        assert counted.bytes_out == counts.bytes_out - before.bytes_out
        assert counted.bytes_in == counts.bytes_in - before.bytes_in
    finally:
        counted.close()
        board.close()


def test_a_uart_works_both_ways_at_once():
    assert uart_seconds(300_000, 100_000, 3_000_000) == pytest.approx(1)
    assert uart_seconds(100_000, 600_000, 3_000_000) == pytest.approx(2)


class Answering(Pipe):
    """A board that knows how to answer, and nothing else."""

    def __init__(self):
        self.time, self.answers, self.unframer = 0, b"", Unframer()

    def write(self, data):
        for body in self.unframer.feed(data):
            self.answers += frame(bytes([body[1], Status.OK]) + (
                body[5:] + INFO.to_bytes(4, "little") if body[0] == Kind.HELLO else b""))

    def read(self, timeout):
        self.time += timeout * (not self.answers)
        data, self.answers = self.answers, b""
        return data

    def now(self):
        return self.time

    def discard(self):
        self.answers = b""

    def close(self):
        pass


@pytest.mark.parametrize("name", ["icebreaker", "ulx3s-25f"])
def test_upload_takes_half_a_second_at_most(name):
    """Program and weights of ResNet-8, in frames as the driver sends them, at 3 Mbaud."""
    path = MODELS / "resnet8_cifar10_int8.tflite"
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    board, channel = board_of(name), Channel(Answering())
    program = compile_graph(read_tflite(path), board.params)
    channel.hello()
    for address, words in AcceleratorDriver.writes_of(program):
        channel.write(address, words)
    channel.flush()
    counts = channel.counts
    assert counts.bytes_out > program.weights.size > 70_000 and not counts.retries
    assert board.baud == 3_000_000
    assert max(counts.bytes_out, counts.bytes_in) * 10 / board.baud < 0.5


def test_costs_are_the_cycles_of_the_model():
    network, = networks([])
    layers = costs(network.graph, BOARD.params)
    program = compile_graph(network.graph, BOARD.params)
    assert [each.cycles for each in layers] == pytest.approx(
        [each.cycles for each in CycleModel(Machine.of(BOARD.params)).layers(program.layers)])
    assert sum(each.macs for each in layers) == program.macs
    assert all(value >= 0 for each in layers for value in each.parts.values())
    assert all(each.moved > 0 for each in layers)


@pytest.mark.parametrize("name, weights", [("ulx3s-25f", 2), ("colorlight-5a-75b", 4)])
def test_roofline_has_weights_as_fast_as_they_come(name, weights):
    """From SDRAM as many bytes as it has pins for, less what refreshes take; else a row a cycle."""
    params = board_of(name).params
    chip = replace(params, sdram_bits=0, weight_bytes=26624)
    rest = chip.word_bytes + chip.drain_lanes
    assert bytes_a_cycle(chip) == rest + chip.array.cols
    assert rest + 0.96 * weights < bytes_a_cycle(params) < rest + weights
    assert bytes_a_cycle(BOARD.params) == BOARD.params.word_bytes
