"""The driver and the virtual board: the digits network over pins, through pipes good and bad."""

import functools
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtl.accelerator.control.fingerprint import MAP, fingerprint
from rtl.accelerator.registers import FIRST_PARAMETER, OFFSET_BITS, Error, Register, Window
from sim.virtual_board import PseudoTerminal, VirtualBoard
from systolith.compiler import compile_graph
from systolith.compiler.fitting import small_build
from systolith.diagnostics.fault_campaign import SCENARIOS, run_campaign
from systolith.frontends.tflite import read_tflite
from systolith.graph.interpreter import run_graph
from systolith.runtime.device import Device
from systolith.runtime.driver import AcceleratorDriver
from systolith.runtime.link import BoardReset, Channel, LinkError, NoAnswer, SerialPipe, serial_port
from systolith.runtime.link.faults import FaultyPipe
from systolith.runtime.link.simulated import SimulatedPipe
from systolith.runtime.session import Session
from systolith.runtime.target import RunError
from systolith.zoo.digits import held_out, model_bytes
from tests.support.paths import ROOT

#: The driver in C.
DRIVER = ROOT / "systolith" / "runtime" / "c"

MEMORY = Window.ACTIVATIONS << OFFSET_BITS


@functools.cache
def board():
    return VirtualBoard(small_build(4, 4))


@functools.cache
def network():
    """Graph, program, an image, and its output."""
    graph, x = read_tflite(model_bytes()), held_out().images[:1]
    return (graph, compile_graph(graph, board().params), x,
            run_graph(graph, x)[graph.outputs[0]])


def fresh():
    """A device on a board that knows nothing."""
    board().reset()
    return Device(SimulatedPipe(board()), seed=0)


def check_digits(driver):
    graph, _, x, want = network()
    np.testing.assert_array_equal(driver.run(x).values[graph.outputs[0]], want)


def test_device_runs_a_session():
    graph = network()[0]
    device = fresh()
    assert device.params == board().params
    images = held_out().images[:5]
    session = Session(graph, device)
    np.testing.assert_array_equal(session.run(images), run_graph(graph, images)[
        graph.outputs[0]])
    assert device.uploads == 1 and session.cycles > 0


def test_program_stays_until_a_reset_or_another_one():
    _, program, *_ = network()
    device = fresh()
    device.load(program)
    check_digits(device)
    again = Device(SimulatedPipe(board()), seed=1)
    again.load(program)
    check_digits(again)
    assert (device.uploads, again.uploads) == (1, 0)
    assert again.channel.counts.bytes_out < 400
    again.command(Register.TAG, 1)  # as if another one were there
    again.load(program)
    assert again.uploads == 1
    board().reset()
    check_digits(again)
    assert (again.uploads, again.resets) == (2, 1)
    aborted = Channel(SimulatedPipe(board()), seed=2)
    aborted.hello(abort=True)
    assert aborted.read(Register.TAG, 1).tolist() == [0]


def test_run_takes_one_trip_and_upload_fills_the_wire():
    _, program, x, _ = network()
    device = fresh()
    words = sum(len(image) for _, image in device.writes_of(program))
    before, began = device.channel.counts.bytes_out, board().cycle
    device.load(program)
    sent, cycles = device.channel.counts.bytes_out - before, board().cycle - began
    assert 4 * words / sent > 0.94  # 95.6 % in full frames
    # At 10 bits of 4 cycles a byte: nothing but the first frames and the last answer waits.
    assert sent * 40 < cycles < sent * 40 * 1.03 + 2000
    pipe = device.channel.pipe
    trips, read = [], pipe.read
    pipe.read = lambda timeout: trips.append(timeout) or read(timeout)
    began, before = board().cycle, sum(vars(device.channel.counts)[name] for name in (
        "bytes_out", "bytes_in"))
    run = device.run(x)
    moved = sum(vars(device.channel.counts)[name] for name in ("bytes_out", "bytes_in")) - before
    assert board().cycle - began < run.cycles + 40 * moved + 2000


def streamed(device, count):
    """Outcomes of several images, and the board's cycles, with what they have to be."""
    graph, x = network()[0], held_out().images[:count]
    device.load(compile_graph(graph, board().params, double_buffered=True))
    began = board().cycle
    runs = list(device.run_many([(each[None],) for each in x]))
    want = run_graph(graph, x)[graph.outputs[0]]
    np.testing.assert_array_equal(
        np.concatenate([run.values[graph.outputs[0]] for run in runs]), want)
    return runs, board().cycle - began


def test_runs_overlap_with_transfers():
    device = fresh()
    runs, together = streamed(device, 8)
    began = board().cycle
    for image in held_out().images[:8]:
        device.run(image[None])
    apart = board().cycle - began
    assert sum(run.cycles for run in runs) < together < 0.8 * apart


@pytest.mark.parametrize("reset", [0.93, 0.98])
def test_reset_between_overlapping_runs(reset):
    device = fresh()
    began = device.channel.pipe.now()
    streamed(device, 5)
    length = device.channel.pipe.now() - began
    board().reset()
    pipe = FaultyPipe(SimulatedPipe(board()), 0, 0)
    pipe.at(pipe.now() + reset * length, board().reset)
    device = Device(pipe, seed=0)
    streamed(device, 5)
    assert (device.resets, device.uploads) == (1, 2)


def test_run_that_fails_among_others():
    graph, x = network()[0], held_out().images[:4]
    device = fresh()
    device.load(compile_graph(graph, board().params, double_buffered=True))
    command, gos = device.command, []

    def stopping(register, value):
        command(register, value)
        if register == Register.GO:
            gos.append(value)
            if len(gos) == 2:
                command(Register.STOP, 0)

    device.command = stopping
    outcomes = list(device.run_many([(each[None],) for each in x]))
    want = run_graph(graph, x)[graph.outputs[0]]
    assert isinstance(outcomes[1], RunError) and outcomes[1].index == 1 and len(set(gos)) == 2
    for index in (0, 2, 3):
        np.testing.assert_array_equal(outcomes[index].values[graph.outputs[0]][0], want[index])


def test_board_that_another_program_left_running():
    device = fresh()
    device.load(network()[1])
    device.command(Register.GO, 0)
    other = Device(SimulatedPipe(board()), seed=3)
    other.load(network()[1])
    assert other.uploads == 1  # it was running, so it was reset
    check_digits(other)


def test_channel_says_what_is_wrong():
    board().reset()
    channel = Channel(SimulatedPipe(board()), seed=4)
    with pytest.raises(BoardReset, match=r"^virtual board: the board was reset$"):
        channel.read(0, 1)
    channel.hello()
    assert channel.ping() < 0.001
    words = np.arange(1000, dtype=np.uint32) * 0x01010101
    channel.write(MEMORY, words)
    np.testing.assert_array_equal(channel.read(MEMORY, 1000), words)
    channel.write(MEMORY + 7, words[:1])  # waits for what was read before
    reading = channel.post_read(MEMORY + 6, 3)
    channel.write(MEMORY + 8, words[:1])
    channel.flush()
    assert reading.words().tolist() == [words[6], 0, words[8]]


class Mute(SimulatedPipe):
    """A port with something else at its end."""

    def __init__(self, noise=b""):
        super().__init__(board())
        self.noise = noise

    def write(self, data):
        pass

    def read(self, timeout):
        self._leapt += timeout or 0.001
        return self.noise


SILENCE = r"nothing came at all: is it powered, and its bitstream loaded\?"
NOISE = (r"\d+ bytes came, but no frame of the link: the baud rate, or what is plugged in, is "
         "another")


@pytest.mark.parametrize("noise, why", [(b"", SILENCE), (b"$GPGGA,0\r\n", NOISE),
                                        (b"\1\1\0", NOISE)])
def test_what_is_not_a_board(noise, why):
    with pytest.raises(NoAnswer, match=rf"^virtual board: no board answers; {why}$"):
        Device(Mute(noise))


def registers_say(monkeypatch, offset, value):
    read = Channel.read

    def forged(self, address, count):
        words = read(self, address, count).copy()
        words[offset] = value
        return words

    monkeypatch.setattr(Channel, "read", forged)
    board().reset()
    return SimulatedPipe(board())


def test_something_else_that_speaks_the_link(monkeypatch):
    with pytest.raises(LinkError, match=r"^virtual board: the device is not an accelerator: its "
                                        r"register ID must be 0x53595354, not 0x00000005$"):
        Device(registers_say(monkeypatch, Register.ID, 5))


def test_bitstream_of_another_version(monkeypatch):
    with pytest.raises(LinkError, match=r"^virtual board: the bitstream is of Systolith 0\.9\.0, "
                                        r"this driver of \S+: build and flash it anew$"):
        Device(registers_say(monkeypatch, Register.VERSION, 0x0900))


def test_build_that_cannot_be(monkeypatch):
    with pytest.raises(LinkError, match=r"^virtual board: the device describes a build that cannot "
                                        r"be: rows must be between 1 and 32, not 0$"):
        Device(registers_say(monkeypatch, FIRST_PARAMETER, 0))


def test_bitstream_of_another_layout(monkeypatch):
    with pytest.raises(LinkError, match=r"^virtual board: descriptors or memories of the bitstream "
                       r"are laid out otherwise than this driver has them: their fingerprint is "
                       r"0x00000007, not 0x[0-9a-f]{8}: build and flash it anew$"):
        Device(registers_say(monkeypatch, Register.FINGERPRINT, 7))


def test_a_program_of_another_layout_does_not_run():
    """Whoever brings it, a flash or a driver in C: it begins with the fingerprint of its build."""
    device = fresh()
    device.load(network()[1])
    check_digits(device)
    tag = device.read(Register.TAG)
    device.command(Register.FINGERPRINT, fingerprint(device.params) ^ 1)
    device.command(Register.TAG, 5)
    assert device.attempt(network()[1].areas[Window.PROGRAM]) == Error.FOREIGN
    assert device.read(Register.TAG) == tag
    device.command(Register.TAG, 0)
    again = Device(device.channel.pipe)
    again.command(Register.FINGERPRINT, fingerprint(device.params))
    again.command(Register.TAG, 0)
    again.load(network()[1])  # which opens it
    check_digits(again)


@pytest.mark.parametrize("change", [{"cols": 8}, {"activation_bytes": 1 << 15},
                                    {"rounding": "both", "requantize": 1}])
def test_fingerprints_tell_builds_apart(change):
    params = small_build(4, 4)
    array = {name: value for name, value in change.items() if name == "cols"}
    other = replace(params, array=replace(params.array, **array),
                    **{name: value for name, value in change.items() if name not in array})
    assert fingerprint(params) >> 16 == fingerprint(other) >> 16 == MAP
    assert fingerprint(params) != fingerprint(other)


def test_program_for_another_build():
    other = compile_graph(network()[0], small_build(4, 8))
    with pytest.raises(LinkError, match=r"^virtual board: the program is for another build: cols "
                       r"8, not 4$"):
        fresh().load(other)


def test_short_campaign():
    """Never a wrong result, never a hang; ``systolith selftest --faults`` runs all of it."""
    names = {"no fault", "1 in 1000: any", "1 in 100: any", "garbage at start", "reset at 98%",
             "port gone at 70%", "silence from 98%", "resets without end"}
    chosen = [scenario for scenario in SCENARIOS if scenario.name in names]
    assert len(chosen) == len(names)
    outcomes = list(run_campaign(board(), scenarios=chosen))
    for outcome in outcomes:
        assert outcome.expected, outcome
    assert sum(outcome.faults for outcome in outcomes) > 100
    assert sum(outcome.retries for outcome in outcomes) > 100


def test_campaign_finds_an_accelerator_that_stops(monkeypatch):
    monkeypatch.setattr(Device, "run_many", lambda *_: iter([RunError("the accelerator stopped")]))
    outcome, = run_campaign(board(), scenarios=SCENARIOS[:1])
    assert (outcome.end, outcome.word, outcome.expected) == (
        "wrong", "the accelerator stopped", False)


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(3))
def test_whole_campaign(seed):
    for outcome in run_campaign(board(), seed=seed):
        assert outcome.expected, outcome


# Through the operating system

def test_serial_port():
    board().reset()
    with PseudoTerminal(board()) as terminal:
        with Device(SerialPipe(terminal.path)) as device:
            device.load(network()[1])
            check_digits(device)
            with pytest.raises(LinkError, match=rf"^{terminal.path}: another program has it open$"):
                SerialPipe(terminal.path)
            terminal.reset()
            check_digits(device)
            assert device.resets == 1
        with Device(SerialPipe(terminal.path)) as device:
            device.load(network()[1])
            assert device.uploads == 0
            began = time.monotonic()
            terminal.unplug()
            with pytest.raises(LinkError, match=r"was it pulled out\?$"):
                check_digits(device)
            assert time.monotonic() - began < 10


@pytest.mark.parametrize("port, why", [
    ("/dev/there-is-none", "there is no such port; there are .*"),
    (str(ROOT / "LICENSE"), "it cannot be opened as a serial port: .*")])
def test_what_is_not_a_port(port, why):
    with pytest.raises(LinkError, match=rf"^{port}: {why}$"):
        SerialPipe(port)


class Ftdi:
    """A port behind an FTDI chip whose driver is as it says."""

    name = "/dev/ttyUSB7"

    def __init__(self, timer, obeys):
        self.timer, self.obeys = timer, obeys
        timer.parent.mkdir(parents=True)
        timer.write_text("16\n")

    def set_low_latency_mode(self, on):
        if not self.obeys:
            raise ValueError("Failed to update ASYNC_LOW_LATENCY flag to True")
        self.timer.write_text("1\n")


@pytest.mark.parametrize("flag, file", [(True, False), (False, True), (False, False)])
def test_low_latency(tmp_path, monkeypatch, flag, file):
    timer = tmp_path / "ttyUSB7" / "device" / "latency_timer"
    monkeypatch.setattr(serial_port, "SYSTEM", tmp_path)
    port = Ftdi(timer, flag)
    write = Path.write_text
    monkeypatch.setattr(Path, "write_text", lambda path, text: (
        write(path, text) if file or flag else open("/dev/there-is-none/x")))
    said = serial_port.low_latency(port)
    assert said == ("" if flag or file else (
        "/dev/ttyUSB7: the FTDI chip holds each answer back for up to 16 ms; allow less once with: "
        f"echo 1 | sudo tee {timer}"))
    assert serial_port.low_latency(type("Other", (), {"name": "/dev/ttyS0"})) == ""


class Script(AcceleratorDriver):
    """Has the driver in C do all that was posted so far when something is to be known."""

    def __init__(self, program, port, params):
        self.path, self.port, self.params = program, port, params
        self.lines, self.answers = ["H 305419896 0"], []

    def post_write(self, address, words):
        self.lines.append(f"W {address} {len(words)} " + " ".join(map(str, words.tolist())))

    def post_wait(self):
        self.lines.append("D 30000")

    def post_read(self, addresses):
        self.lines += [f"R {address} 1" for address in addresses]
        first = sum(line[0] == "R" for line in self.lines) - len(addresses)
        return lambda: np.array(self._answers()[first:first + len(addresses)], np.uint32)

    def _answers(self):
        if len(self.answers) < sum(line[0] == "R" for line in self.lines):
            done = subprocess.run([self.path, self.port], input="\n".join(self.lines), text=True,
                                  capture_output=True, timeout=120)
            assert done.returncode == 0, done.stderr
            self.answers = [int(word) for word in done.stdout.split()]
        return self.answers


def test_driver_in_c_from_cpp(tmp_path):
    """Functions of the driver, which is C, are found by C++, such as a sketch for Arduino."""
    (tmp_path / "main.cpp").write_text("""#include "systolith.h"
        int main() {
            systolith board = systolith();
            board.send = [](void *, const uint8_t *, size_t) { return -1; };
            board.receive = [](void *, uint8_t *, size_t, unsigned) { return -1; };
            return systolith_hello(&board, 1, 0) == SYSTOLITH_PORT ? 0 : 1;
        }""")
    strict = ["-Wall", "-Wextra", "-Werror", "-Wpedantic", f"-I{DRIVER}"]
    subprocess.run(["gcc", "-std=c99", *strict, "-c", DRIVER / "systolith.c"],
                   cwd=tmp_path, check=True)
    subprocess.run(["g++", "-std=c++11", *strict, "main.cpp", "systolith.o", "-o", "main"],
                   cwd=tmp_path, check=True)
    assert subprocess.run([tmp_path / "main"], timeout=60).returncode == 0


def test_driver_in_c(tmp_path):
    assert shutil.which("gcc")
    program = tmp_path / "main"
    subprocess.run(["gcc", "-std=c99", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror",
                    "-Wpedantic", "-Wconversion", "-O1", f"-I{DRIVER}",
                    Path(__file__).parent / "c" / "main.c", DRIVER / "systolith.c",
                    "-o", program], check=True)
    board().reset()
    with PseudoTerminal(board()) as terminal:
        script = Script(program, terminal.path, board().params)
        script.load(network()[1])
        own = fingerprint(board().params)
        script.lines += ["I 0", f"I {own}"]
        check_digits(script)
        foreign = subprocess.run([program, terminal.path], input=f"H 7 0\nI {own ^ 1}", text=True,
                                 capture_output=True, timeout=60)
        assert (foreign.returncode, foreign.stderr) == (1, "result 4, 0 retries\n")
        terminal.reset()
        time.sleep(0.1)
        closed = subprocess.run([program, terminal.path], input="R 0 1", capture_output=True,
                                text=True, timeout=60)
        assert (closed.returncode, closed.stderr) == (1, "result 2, 0 retries\n")
