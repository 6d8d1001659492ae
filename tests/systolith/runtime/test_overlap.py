# amaranth: UnusedElaboratable=no
"""Runs that overlap with the transfer of inputs and outputs: results, places, errors, cycles."""

import functools
from dataclasses import replace

import numpy as np
import pytest

from rtl.accelerator import descriptor_of, descriptor_words
from rtl.accelerator.control.fingerprint import fingerprint
from rtl.accelerator.registers import OFFSET_BITS, Register, Window
from systolith.cli.generate_docs import fields_of
from systolith.compiler import Segment, compile_graph, needs_of
from systolith.compiler.estimate import check
from systolith.compiler.fitting import small_build
from systolith.frontends.model_file import read_model
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import Graph, Tensor, make_operator
from systolith.runtime.overlap import Pause, overlapped
from systolith.runtime.session import Session
from systolith.runtime.simulated_accelerator import SimulatedAccelerator
from systolith.runtime.target import Run, RunError
from systolith.runtime.transfers import addresses_of
from systolith.zoo.digits import held_out, model_bytes
from systolith.zoo.random import autoencoder, int8, network, with_zeros

BUILD = small_build(8, 8)
GRAPH = read_model(model_bytes())


class Watched(SimulatedAccelerator):
    """Notes what is written and read, and when; stops the run number ``stopped``."""

    stopped = None

    def __init__(self, params):
        super().__init__(params)
        self.begin()

    def begin(self, stopped=None):
        self.events, self.stopped, self.gos = [], stopped, 0

    def command(self, register, value):
        super().command(register, value)
        if register == Register.GO:
            self.events.append(("go", value))
            self.began = self.sim.cycle if self.gos == 0 else self.began
            if self.gos == self.stopped:
                super().command(Register.STOP, 0)
            self.gos += 1

    def post_write(self, address, words):
        super().post_write(address, words)
        self.events.append(("write", address + np.arange(len(words))))

    def post_read(self, addresses):
        self.events.append(("read", addresses))
        return super().post_read(addresses)

    def post_wait(self):
        super().post_wait()
        self.events.append(("done", None))
        self.ended = self.sim.cycle


@functools.cache
def accelerator():
    return Watched(BUILD)


def run_many(graph, images, *, batch=1, stopped=None, seed=0):
    """Program, inputs, what the golden models give, and outcomes."""
    simulated, rng = accelerator(), np.random.default_rng(seed)
    program = compile_graph(graph, BUILD, batch=batch, double_buffered=True)
    simulated.load(program)
    simulated.begin(stopped)
    inputs = [int8(rng, (batch * images, *graph.tensors[n].shape[1:])) for n in graph.inputs]
    outcomes = list(simulated.run_many(list(zip(*(
        np.split(x, images) for x in inputs), strict=True))))
    assert len(outcomes) == images
    return program, inputs, run_graph(graph, *inputs), outcomes


def overlaps(graph, images, **options):
    """The program and outcomes, which are as the golden models have them."""
    program, _, want, runs = run_many(graph, images, **options)
    assert len(program.variants) == 2
    for index in graph.outputs:
        got = np.concatenate([run.values[index] for run in runs])
        np.testing.assert_array_equal(got, want[index])
    in_turns(program)
    return program, runs


def in_turns(program):
    """One run at a time, the variants in turns; what the host reaches meanwhile belongs to the run
    before and to the next one: not to this one, nor to any other tensor."""
    starts = [next(step.start for step in each.steps if isinstance(step, Segment))
              for each in program.variants]
    reached, running, number = [set(), set()], False, 0
    for what, value in accelerator().events:
        if what == "go":
            assert not running and value == starts[number % 2]
            running, number = True, number + 1
        elif what == "done":
            running = False
        else:
            # Before a run its inputs are written, and the last outputs when nothing runs any more.
            mine = number if running else 0 if not number else number - 1
            reached[mine % 2] |= {each for each in np.asarray(value).tolist()
                                  if each >> OFFSET_BITS == Window.ACTIVATIONS}
    assert not running and number
    inner = set().union(*(addresses_of(place.batched(program.images)).tolist()
                          for tensor, place in program.regions.items()
                          if place == program.pong[tensor]))
    assert reached[0].isdisjoint(reached[1])
    assert inner.isdisjoint(reached[0] | reached[1])


def test_order_of_overlapped_runs():
    """The next inputs are written, and the last outputs read, while one run computes."""
    done = []

    def work(number):
        done.append(f"write {number}")
        yield Pause.WRITTEN
        done.append(f"go {number}")
        yield Pause.STARTED
        done.append(f"wait {number}")
        yield Pause.AWAITED
        done.append(f"read {number}")
        if number == 1:
            raise RunError("stopped")
        yield Run(values={}, cycles=number)

    first, second, third = overlapped(work(number) for number in range(3))
    assert (first.cycles, str(second), third.cycles) == (0, "stopped", 2)
    assert done == ["write 0", "go 0", "write 1", "wait 0", "go 1", "read 0", "write 2", "wait 1",
                    "go 2", "read 1", "wait 2", "read 2"]


@pytest.mark.parametrize("images", [1, 2, 3, 8])
def test_digits(images):
    program, runs = overlaps(GRAPH, images)
    assert [len(run.layer_cycles) for run in runs] == [len(program.layers)] * images


def test_transfers_take_no_time_of_their_own():
    simulated, x = accelerator(), held_out().images[:20]
    simulated.load(compile_graph(GRAPH, BUILD))
    simulated.begin()
    alone = [simulated.run(each[None]) for each in x]
    apart = simulated.ended - simulated.began
    simulated.load(compile_graph(GRAPH, BUILD, double_buffered=True))
    simulated.begin()
    runs = list(simulated.run_many([(each[None],) for each in x]))
    together = simulated.ended - simulated.began
    for one, other in zip(runs, alone, strict=True):
        np.testing.assert_array_equal(one.values[GRAPH.outputs[0]], other.values[GRAPH.outputs[0]])
        # A cycle for each access at the most: 128 chunks of the input, 4 of the output.
        assert 0 <= one.cycles - other.cycles <= 132
    least = sum(run.cycles for run in runs)
    # Between runs: status, cycles in all and of each layer, and the go.
    assert least < together < least + 20 * 70 < apart


@pytest.mark.parametrize("seed", range(12))
def test_networks(seed):
    rng = np.random.default_rng([11, seed])
    graph = network(rng)
    if seed % 3 == 0:
        graph = with_zeros(graph, rng)
    batch = 1 + seed % 2
    parts = sum(isinstance(step, Segment) for step in compile_graph(graph, BUILD).steps)
    if parts == 1:
        overlaps(graph, 3, batch=batch, seed=seed)
    else:
        with pytest.raises(ValueError, match="^runs cannot overlap: "):
            compile_graph(graph, BUILD, double_buffered=True)


def graph_of(shapes, operators, inputs, outputs):
    """A graph of tensors by name; an operator is (kind, inputs, output, attributes)."""
    names = list(shapes)
    return Graph(
        tensors=tuple(Tensor(name=name, shape=shape, scales=(0.5,), zero_point=3)
                      for name, shape in shapes.items()),
        inputs=tuple(map(names.index, inputs)), outputs=tuple(map(names.index, outputs)),
        operators=tuple(make_operator(kind=kind, inputs=tuple(map(names.index, taken)),
                                      outputs=(names.index(given),), index=index,
                                      attributes=attributes)
                        for index, (kind, taken, given, attributes) in enumerate(operators)))


ADD = {"activation": "NONE"}
SMALL = (1, 2, 3, 4)
GRAPHS = {
    "an input that is an output": graph_of(
        dict.fromkeys("aby", SMALL), [("ADD", "ab", "y", ADD)], "ab", "ay"),
    "an input that two operators read": graph_of(
        dict.fromkeys("absy", SMALL), [("ADD", "ab", "s", ADD), ("ADD", "as", "y", ADD)],
        "ab", "y"),
    "an output that another operator reads": graph_of(
        dict.fromkeys("absy", SMALL), [("ADD", "ab", "s", ADD), ("ADD", "ss", "y", ADD)],
        "ab", "sy"),
    "an output that is a reshaped input": graph_of(
        {**dict.fromkeys("aby", SMALL), "r": (1, 6, 1, 4)},
        [("RESHAPE", "a", "r", {}), ("ADD", "ab", "y", ADD)], "ab", "ry"),
    "an output that joins others": graph_of(
        {**dict.fromkeys("abst", (1, 2, 3, 8)), "y": (1, 2, 3, 16)},
        [("ADD", "ab", "s", ADD), ("ADD", "bs", "t", ADD), ("CONCATENATION", "st", "y", {})],
        "ab", "yt"),
}


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("batch", [1, 3])
def test_ends(name, batch):
    overlaps(GRAPHS[name], 5, batch=batch)


def test_the_host_has_the_first_and_the_last_word():
    grown = autoencoder(np.random.default_rng(2), [12, 20, 12])
    scores = [replace(grown.tensors[0], name=name, scales=(1 / 256,), zero_point=-128)
              for name in ("before", "after")]
    tensors = (*grown.tensors, *scores)
    first, last = len(grown.tensors), len(grown.tensors) + 1
    graph = replace(grown, tensors=tensors, outputs=(last,), operators=(
        make_operator(kind="SOFTMAX", inputs=grown.inputs, outputs=(first,),
                      attributes={"beta": 1.0}),
        *(replace(op, index=op.index + 1, inputs=tuple(
            first if each in grown.inputs else each for each in op.inputs))
          for op in grown.operators),
        make_operator(kind="SOFTMAX", inputs=grown.outputs, outputs=(last,), index=9,
                      attributes={"beta": 1.0})))
    program, _ = overlaps(graph, 5)
    assert [isinstance(step, Segment) for step in program.steps] == [False, True, False]


@pytest.mark.parametrize("graph", [GRAPH, GRAPHS["an input that two operators read"]])
def test_variants_differ_in_addresses(graph):
    once, twice = (compile_graph(graph, BUILD, double_buffered=each) for each in (False, True))
    one, other = twice.descriptors.reshape(2, -1)
    assert len(one) == len(once.descriptors)
    np.testing.assert_array_equal(once.weights, twice.weights)
    assert all(len(once.channels[name]) == len(twice.channels[name]) for name in once.channels)
    words, differing = descriptor_words(BUILD), set()
    for a, b in zip(one.reshape(-1, words), other.reshape(-1, words), strict=True):
        a, b = (int.from_bytes(each.tobytes(), "little") for each in (a, b))
        differing |= {path for first, bits, path in fields_of(descriptor_of(BUILD))
                      if (a ^ b) >> first & (1 << int(bits.split()[0])) - 1}
    # Steps too: the operands of an addition lie a step apart.
    assert differing and {path.rpartition(".")[2] for path in differing} <= {"base", "step"}
    assert any(path.startswith("fetch") for path in differing)
    assert any(path.startswith("store") for path in differing)


@pytest.mark.parametrize("stopped", [0, 2, 6])
def test_a_run_that_fails(stopped):
    """The others are not lost, and the next ones are as good."""
    _, _, want, runs = run_many(GRAPH, 7, stopped=stopped)
    for index, run in enumerate(runs):
        if index == stopped:
            assert isinstance(run, RunError) and run.index == stopped
            assert str(run).startswith("the accelerator stopped at layer 0: STOPPED")
        else:
            y, = GRAPH.outputs
            np.testing.assert_array_equal(run.values[y], want[y][index:index + 1])


@pytest.mark.parametrize("batch, number", [(1, "3 of 5"), (2, "3 of 3")])
def test_session_names_the_run_that_failed(batch, number):
    simulated, x = accelerator(), held_out().images[:5]
    session, got = Session(GRAPH, simulated, batch=batch), []
    assert session.alone == ""
    simulated.begin(stopped=2)
    with pytest.raises(RunError, match=rf"^run {number}: the accelerator stopped at layer 0: "):
        for run in session.results(x):
            got.append(run.values[GRAPH.outputs[0]])
    want = run_graph(GRAPH, x)[GRAPH.outputs[0]]
    left = [n for n in range(5) if n // batch != 2]
    np.testing.assert_array_equal(np.concatenate(got), want[left])
    simulated.begin()
    np.testing.assert_array_equal(session.run(x), want)


def test_another_run_ends_the_others():
    simulated, x = accelerator(), held_out().images[:4]
    session = Session(GRAPH, simulated)
    results = session.results(x)
    next(results)
    np.testing.assert_array_equal(session.run(x[:1]), run_graph(GRAPH, x[:1])[GRAPH.outputs[0]])
    with pytest.raises(RuntimeError, match="^another run began when 1 of 4 were done: the others "
                                           "are lost$"):
        next(results)


def test_what_does_not_fit_twice_runs_alone(monkeypatch):
    once, twice = (needs_of(GRAPH, BUILD, double_buffered=each) for each in (False, True))
    need = twice["program_words"]
    assert need == 2 * once["program_words"]
    assert {name for name in once if once[name] < twice[name]} == {"program_words",
                                                                   "activation_bytes"}
    compile_graph(GRAPH, replace(BUILD, program_words=need), double_buffered=True)
    short = replace(BUILD, program_words=need - 1)
    message = (f"inputs and outputs do not fit twice; program words: {need} are needed, 1 more "
               f"than the {need - 1} of this build")
    with pytest.raises(ValueError, match=f"^{message}$"):
        compile_graph(GRAPH, short, double_buffered=True)
    found = check(GRAPH, short)
    assert not found.short and f"{need} words are needed, 1 more" in found.alone
    assert found.as_dict()["transfers_during_runs"] is False
    simulated = accelerator()
    monkeypatch.setattr("systolith.runtime.driver.fingerprint", lambda _: fingerprint(BUILD))

    class Short:
        """The same accelerator, said to have less, and to have another fingerprint."""

        params, load, run, run_many = short, simulated.load, simulated.run, simulated.run_many
        program = None

    session, x = Session(GRAPH, Short()), held_out().images[:3]
    assert session.alone == message
    simulated.begin()
    np.testing.assert_array_equal(session.run(x), run_graph(GRAPH, x)[GRAPH.outputs[0]])


def test_tensors_that_are_kept_do_not_overlap():
    with pytest.raises(ValueError, match="^runs that keep all tensors cannot overlap$"):
        compile_graph(GRAPH, BUILD, keep=True, double_buffered=True)
    session = Session(GRAPH, accelerator(), keep=True)
    assert session.alone == "all tensors are kept"
