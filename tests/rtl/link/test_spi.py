# amaranth: UnusedElaboratable=no
"""A board at an SPI bus: the driver clocks the pins of the simulated core."""

import builtins
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from rtl.board_core import BoardCore
from sim.compiled import CompiledSim
from systolith.compiler.fitting import small_build
from systolith.graph.interpreter import run_graph
from systolith.runtime.device import Device
from systolith.runtime.discovery import open_device
from systolith.runtime.link import LinkError, SpiPipe
from systolith.runtime.link.spi_port import open_bus
from systolith.runtime.session import Session
from systolith.zoo.random.operators import conv, int8

#: Clocks of the core for half a clock of the bus.
HALF = 4
#: Seconds of the simulation without an answer after which a test has failed.
TIMEOUT = 0.1


class SimulatedBus:
    """The pins of a :class:`BoardCore` with the SPI link, as spidev would move them."""

    def __init__(self, core, half=HALF):
        self.sim, self.half = CompiledSim(core), half
        self.sim.set("cs", 1)
        self.sim.step(20)

    def xfer2(self, data):
        got = []
        self.sim.set("cs", 0)
        self.sim.step(2 * self.half)
        for byte in data:
            came = 0
            for bit in range(7, -1, -1):
                self.sim.set("sdi", byte >> bit & 1)
                self.sim.step(self.half)
                came = came << 1 | self.sim.get("sdo")
                self.sim.set("sck", 1)
                self.sim.step(self.half)
                self.sim.set("sck", 0)
            got.append(came)
        self.sim.step(2 * self.half)
        self.sim.set("cs", 1)
        self.sim.step(2 * self.half)
        return got

    def close(self):
        self.closed = True


class SimulatedPipe(SpiPipe):
    """In the time of the simulation, whose clock is one of 24 MHz."""

    def now(self):
        return self.bus.sim.cycle / 24e6


@pytest.fixture(scope="module")
def core():
    return BoardCore(small_build(2, 2), link="spi")


def test_network_over_spi(core):
    rng = np.random.default_rng(5)
    graph = conv(rng)
    x = int8(rng, (2, *graph.tensors[graph.inputs[0]].shape[1:]))
    bus = SimulatedBus(core)
    with Device(SimulatedPipe(bus), timeout=TIMEOUT) as device:
        assert device.params.registers() == core.params.registers()
        y = Session(graph, device).run(x)
        counts = device.channel.counts
    np.testing.assert_array_equal(y, run_graph(graph, x)[graph.outputs[0]])
    assert counts.retries == counts.bad_frames == 0
    assert bus.closed and bus.sim.get("done") == 1


def test_transfers_may_end_anywhere(core):
    """No byte is lost between the transfers of a bus, however short they are."""
    bus = SimulatedBus(core)
    whole = bus.xfer2
    bus.xfer2 = lambda data: [whole([byte])[0] for byte in data]
    with Device(SimulatedPipe(bus), timeout=TIMEOUT) as device:
        assert device.channel.ping() >= 0
        assert device.channel.counts.retries == device.channel.counts.bad_frames == 0


def test_nothing_at_the_bus():
    bus = SimpleNamespace(xfer2=lambda data: [0] * len(data))
    pipe = SpiPipe(bus, "spi:9.9")
    with pytest.raises(LinkError, match=r"^spi:9\.9: no board answers; nothing came at all"):
        Device(pipe, hello_timeout=0.1)


def test_bus_that_goes():
    def gone(data):
        raise OSError(5, "Input/output error")

    with pytest.raises(LinkError, match=r"^SPI: the bus is gone \(.*Input/output error"):
        SpiPipe(SimpleNamespace(xfer2=gone)).write(b"a")


@pytest.mark.parametrize("port", ["spi:0", "spi:a.b", "spi:0.0.0", "spi:"])
def test_name_of_a_bus(port):
    with pytest.raises(LinkError, match=rf"^{port}: a bus is spi:BUS\.DEVICE, such as spi:0\.0$"):
        open_device(port)


def test_bus_that_is_not_there(monkeypatch):
    class SpiDev:
        def open(self, bus, device):
            raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setitem(sys.modules, "spidev", SimpleNamespace(SpiDev=SpiDev))
    with pytest.raises(LinkError, match=r"^spi:0\.1: the bus cannot be opened \(No such file"):
        open_device("spi:0.1")


def test_missing_package(monkeypatch):
    def missing(name, *rest):
        if name == "spidev":
            raise ImportError(name)
        return real(name, *rest)

    real = builtins.__import__
    monkeypatch.delitem(sys.modules, "spidev", raising=False)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(LinkError, match=r"^spi:0\.0: the package spidev is missing; install it"):
        open_bus("spi:0.0")
