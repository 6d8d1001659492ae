# amaranth: UnusedElaboratable=no
"""Whether a network fits: what is short, and by how much."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from boards.board import board_of
from systolith import Session
from systolith.cli import app
from systolith.compiler import compile_graph, needs_of
from systolith.compiler.cost.layers import CycleModel
from systolith.compiler.cost.machine import Machine
from systolith.compiler.estimate import check
from systolith.compiler.fitting import Shortage, all_results, fit, parts, shortages, small_build
from systolith.frontends.tflite import read_tflite
from systolith.graph.attributes import Clamp
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import make_operator
from systolith.zoo.digits import model_bytes
from systolith.zoo.random import Chain, autoencoder, onnx_network

GRAPH = read_tflite(model_bytes())
BUILD = small_build(4, 4)
POWERS = "activation_bytes", "buffer_bytes"
NEEDS = needs_of(GRAPH, BUILD)


def sized(**sizes):
    """The build with memories of just what the network needs, or of ``sizes``."""
    just = {name: 1 << (need - 1).bit_length() if name in POWERS else need
            for name, need in NEEDS.items()}
    return replace(BUILD, **{**just, **sizes})


NEEDS = needs_of(GRAPH, sized())  # the program is as long as the addresses are


def test_fits_what_it_needs():
    assert shortages(GRAPH, sized()) == []
    compile_graph(GRAPH, sized())


@pytest.mark.parametrize("name", ["pooling", "addition"])
def test_names_the_unit_that_is_lacking(name):
    graph, build = replace(GRAPH, operators=tuple(  # means can do without
        replace(op, kind=op.kind.replace("AVERAGE", "MAX")) for op in GRAPH.operators)), sized(
            **{name: False})
    short, = shortages(graph, build)
    assert short == Shortage(name=name, need=True, have=False)
    assert short.text == f"{name}: the network needs that unit, which this build does not have"
    with pytest.raises(ValueError, match=name.upper()):
        compile_graph(graph, build)
    assert getattr(fit(graph, build), name)


@pytest.mark.parametrize("name", [name for name in NEEDS if name not in {"pooling", "addition"}])
def test_tells_what_is_short(name):
    """One less of anything is refused, by name and number, and the compiler agrees."""
    have = (1 << (NEEDS[name] - 1).bit_length()) // 2 if name in POWERS else NEEDS[name] - 1
    if name == "weight_bytes":
        have = NEEDS[name] - 4  # a row
    build = sized(**{name: have})
    assert shortages(GRAPH, build) == [Shortage(name=name, need=NEEDS[name], have=have)]
    with pytest.raises(ValueError, match=rf"\b{NEEDS[name]}\b"):
        compile_graph(GRAPH, build)
    needs = compile_graph(GRAPH, fit(GRAPH, build)).needs
    assert {**needs, "program_words": 0} == {**NEEDS, "program_words": 0}


def test_names_all_that_is_short_at_once():
    build = sized(weight_bytes=64, channels=8, depth=2, max_lines=4)
    assert [each.name for each in shortages(GRAPH, build)] == [
        "weight_bytes", "channels", "max_lines", "depth"]


def test_memory_that_all_share():
    single_memory = board_of("icebreaker").params
    small = replace(single_memory, activation_bytes=8192)
    need = needs_of(GRAPH, small)["activation_bytes"]
    assert NEEDS["activation_bytes"] + NEEDS["weight_bytes"] < need < 16384
    assert shortages(GRAPH, replace(single_memory, activation_bytes=16384)) == []
    short, = shortages(GRAPH, small)
    assert short.text.startswith(f"memory that all share: {need} bytes are needed")


def test_too_large_for_any_build():
    graph = autoencoder(np.random.default_rng(1), (2100, 2100))
    with pytest.raises(ValueError, match=(
            r"^the network is too large for any build: weight_bytes must be between 64 and "
            r"4194304, not 8388608\. This one is short of weight memory: \d+ bytes are needed, ")):
        check(graph, BUILD)


def test_results_come_in_parts_that_fit():
    build = sized()
    whole = all_results(GRAPH)
    assert whole.outputs == tuple(op.outputs[0] for op in GRAPH.operators)
    assert shortages(whole, build) and parts(whole, fit(whole, build)) == [whole]
    several = parts(whole, build)
    assert len(several) > 1 and not any(shortages(part, build) for part in several)
    assert sum((part.outputs for part in several), ()) == whole.outputs
    with pytest.raises(ValueError, match="^0_conv_2d cannot be kept in this build; activation mem"):
        parts(whole, replace(build, activation_bytes=64))


def test_names_the_rounding_that_is_lacking():
    other = replace(GRAPH, rounding="float32", operators=tuple(
        replace(op, attributes=replace(op.attributes, range=(-128, 127)))
        if isinstance(op.attributes, Clamp) else op for op in GRAPH.operators))
    assert "rounding" in [each.name for each in shortages(other, sized())]


def test_operators_add_up():
    found = check(GRAPH, BUILD, mhz=10)
    program = compile_graph(GRAPH, BUILD)
    assert found.cycles == CycleModel(Machine.of(BUILD)).run(program.layers)
    assert found.macs == program.macs and found.floor == -(-program.macs // 16)
    assert found.per_second == pytest.approx(1e7 / found.cycles)
    where = {each.operator: each.where for each in found.operators}
    assert where["SOFTMAX"] == "host" and where["RESHAPE"] == "nowhere"
    assert where["CONV_2D"] == "accelerator" and where["ADD"] == "with operator 3"
    rest = found.cycles - sum(each.cycles for each in found.operators)
    assert 0 < rest < 100
    assert sum(each.weight_bytes for each in found.operators) == NEEDS["weight_bytes"]


@pytest.mark.parametrize("shape, image, scores", [
    ((4, 4), 64, 12), ((8, 8), 3 * 64, 16)])  # 8x8 takes the lines under the kernel side by side
def test_counts_what_is_transferred(shape, image, scores):
    """What softmax reads, too, which runs on the host."""
    assert check(GRAPH, small_build(*shape)).transfer_bytes == image + scores


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "digits.tflite"
    path.write_bytes(model_bytes())
    return path


@pytest.mark.parametrize("met", [False, True])
def test_command(model, monkeypatch, met):
    mhz = board_of("icebreaker").mhz
    monkeypatch.setattr("boards.flow.clocks.read_clocks", lambda: {
        "icebreaker": SimpleNamespace(met=met, clock_mhz=mhz)})
    result = CliRunner().invoke(app, ["check", str(model), "--board", "icebreaker"])
    assert result.exit_code == 0
    assert "it fits" in result.output and "iCEBreaker" in result.output
    assert f"inferences per second at {mhz:g} MHz" in result.output
    assert ("planned" in result.output) is not met


def test_command_refuses(model):
    result = CliRunner().invoke(app, ["check", str(model), "--rows", "4", "--cols", "4",
                                      "--weight-bytes", "1000"])
    assert result.exit_code == 1
    text = " ".join(result.output.split())
    assert f"{NEEDS['weight_bytes'] - 1000} more than the 1000 of this build" in text
    assert "boards that it fits:" in text and "ulx3s-85f" in text


@pytest.mark.parametrize("board, remedy", [
    ("icebreaker", "takes .tflite networks only; ECP5 boards take both"),
    ("colorlight-5a-75b", "systolith build --board colorlight-5a-75b --rounding both makes one")])
def test_command_says_what_takes_an_onnx_network(tmp_path, monkeypatch, board, remedy):
    chosen = board_of(board)
    alone = replace(chosen, params=replace(chosen.params, rounding="tflm"))
    monkeypatch.setattr("boards.board.boards", lambda: {board: alone})
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_network(np.random.default_rng(3), "qdq", "int8").model())
    result = CliRunner().invoke(app, ["check", str(path), "--board", board])
    text = " ".join(result.output.split())
    assert result.exit_code == 1 and remedy in text
    assert "the network needs float32, as .onnx ones do; this build has tflm" in text
    assert ("with systolith build --rounding both: colorlight" in text) == (board != "icebreaker")


def test_no_rate_of_a_build_that_is_not_there(model):
    words = ["check", str(model), "--board", "hx8k"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1 and "it does not fit" in result.output
    assert "inferences per second" not in result.output
    found = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert not found["fits"] and found["cycles"] and found["inferences_per_second"] is None


def test_command_in_json(model):
    result = CliRunner().invoke(app, ["check", str(model), "--board", "icebreaker", "--json"])
    found = json.loads(result.stdout)
    assert found["fits"] and found["short"] == [] and found["mhz"] == 24
    expected = check(GRAPH, board_of("icebreaker").params)
    assert found["cycles"] == expected.cycles
    assert [each["cycles"] for each in found["operators"]] == [
        each.cycles for each in expected.operators]


@pytest.mark.parametrize("option, reason", [
    ("--rows", "rows must be between 1 and 32, not 0"),
    ("--cols", "cols must be between 1 and 32, not 0"),
    ("--drain-lanes", "drain_lanes must be one of 1, 2, 4, 8, not 0")])
def test_refuses_a_build_of_nothing(model, option, reason):
    result = CliRunner().invoke(app, ["check", str(model), option, "0"])
    assert str(result.exception) == reason


def moving(kind, **attributes):
    """A movement of (1, 6, 8, 16) between two convolutions; a joining one takes two of them."""
    grown = Chain(np.random.default_rng(4))
    grown.tensors = []
    first = grown.tensor((1, 6, 8, 16), 0.05)
    parts = []
    for _ in range(2 if kind in {"CONCATENATION", "PACK"} else 1):
        grown.last = first
        grown.weighted("CONV_2D", (16, 1, 1, 16), 0, (1, 6, 8, 16), stride=(1, 1),
                       padding=((0, 0), (0, 0)), dilation=(1, 1))
        grown.tensors[grown.last] = replace(grown.x, scales=(0.5,), zero_point=3)
        parts.append(grown.last)
    grown.last = grown.tensor((1,), 0.5, 3)
    operator = make_operator(kind, parts, [grown.last], attributes, len(grown.operators))
    shape = operator.record.shape(grown.graph(), operator)
    grown.tensors[grown.last] = replace(grown.x, shape=shape)
    grown.operators.append(operator)
    if len(shape) == 4:
        grown.pool("MAX_POOL_2D", kernel=(2, 2))
    return grown.graph()


#: What a reader or a writer addresses where it lies.
ADDRESSED = [
    ("CONCATENATION", {"axis": 1}), ("CONCATENATION", {"axis": 2}), ("CONCATENATION", {"axis": 3}),
    ("PACK", {"axis": 1}),
    ("STRIDED_SLICE", {"slices": (None, (1, 1, 4), None, None)}),
    ("STRIDED_SLICE", {"slices": (None, (1, 2, 2), (0, 3, 3), None)}),
    ("STRIDED_SLICE", {"slices": (None, None, None, (8, 1, 5))}),
    ("STRIDED_SLICE", {"slices": (None, (2, 1, 1), None, None), "shape": (1, 8, 16)}),
    ("PAD", {"padding": ((0, 0), (1, 0), (2, 1), (0, 0))}),
    ("PAD", {"padding": ((0, 0), (1, 0), (0, 0), (3, 2)), "fill": 7}),
    ("TRANSPOSE", {"order": (0, 2, 1, 3)}),
]


@pytest.mark.parametrize("kind, attributes", ADDRESSED, ids=lambda each: str(each)[:40])
def test_addressing_moves_nothing(kind, attributes):
    moved = [each for each in check(moving(kind, **attributes), small_build(8, 8)).operators
             if each.moved_bytes is not None]
    assert [(each.operator, each.moved_bytes) for each in moved] == [(kind, 0)]


def test_parts_of_a_pixel_are_added_where_they_lie():
    """As gates of recurrent layers are, which one matrix product computes, for any batch."""
    grown = Chain(np.random.default_rng(4))
    grown.tensors = []
    first = grown.tensor((1, 16), 0.05)
    parts = []
    for width in (48, 16):
        grown.last = first
        grown.weighted("FULLY_CONNECTED", (width, 16), 0, (1, width))
        if width > 16:
            x, whole = grown.x, grown.last
            grown.last = grown.tensor((1, 16), x.scale, x.zero_point)
            grown.operators.append(make_operator(
                "STRIDED_SLICE", [whole], [grown.last], {"slices": (None, (32, 1, 16))},
                len(grown.operators)))
        parts.append(grown.last)
    grown.append("ADD", parts, (1, 16), grown.x.scale * 2, activation="NONE")
    graph, build = grown.graph(), small_build(8, 8)
    assert [each.moved_bytes for each in check(graph, build).operators] == [None, 0, None, None]
    x = np.random.default_rng(1).integers(-128, 128, (3, 16), np.int8)
    want = run_graph(graph, x)[graph.outputs[0]]
    for batch in (1, 3):
        np.testing.assert_array_equal(Session(graph, build, batch=batch).run(x), want)


@pytest.mark.parametrize("classes", [0, 5])
def test_layers_with_weights_read_channels_from_any_on(classes):
    """A word of eight has some that are not read."""
    graph = moving("STRIDED_SLICE", slices=(None, None, None, (3, 1, 10)))
    grown = Chain(np.random.default_rng(4))
    grown.tensors, grown.operators = list(graph.tensors[:-1]), list(graph.operators[:-1])
    grown.last, grown.activation = len(grown.tensors) - 1, lambda: "NONE"
    if classes:
        grown.weighted("FULLY_CONNECTED", (5, 480), 0, (1, 5))
    else:
        grown.weighted("CONV_2D", (4, 3, 3, 10), 0, (1, 6, 8, 4), stride=(1, 1), dilation=(1, 1),
                       padding=((1, 1), (1, 1)))
    graph, build = grown.graph(), small_build(8, 8)
    assert [each.moved_bytes for each in check(graph, build).operators] == [None, 0, None]
    x = np.random.default_rng(1).integers(-128, 128, (2, 6, 8, 16), np.int8)
    want = run_graph(graph, x)[graph.outputs[0]]
    np.testing.assert_array_equal(Session(graph, build).run(x), want)
    assert np.ptp(want.astype(int)) > 10


def test_copies_are_counted():
    """Of channels that do not begin with a word, and of squares that become channels."""
    for kind, attributes, size in (
            ("STRIDED_SLICE", {"slices": (None, None, None, (1, 1, 5))}, 6 * 8 * 5),  # then a pool
            ("SPACE_TO_DEPTH", {"block": 2}, 6 * 8 * 16)):
        found = check(moving(kind, **attributes), small_build(8, 8))
        assert [each.moved_bytes for each in found.operators] == [None, size, None]
        assert found.operators[1].where == "accelerator"
