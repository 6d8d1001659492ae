"""The memories of an accelerator, behind a port for each unit that accesses them."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from rtl.accelerator.params import AcceleratorParams
from rtl.accelerator.registers import OFFSET_BITS, Window
from rtl.layouts import ChannelParams
from rtl.memory import Arbiter, DualPortMemory, SinglePortMemory, memory_port
from rtl.validate import of_type

__all__ = ["SeparateMemories", "SingleMemory", "host_access", "memories_of", "outer_weights"]


#: Words of weights that are requested, or wait, where they come from SDRAM: two tiles of 8 rows, as
#: many as distributed memory has in a cell. They hide changes of row, and refreshes.
OUTER_SLOTS = 16


def host_access(params):
    """Signature of the host's port, as the host sees it.

    ``requests``: ``window``, ``write``, and the ``address`` and ``data`` of a word of the memory
    behind that window. Only activations can be read; their words come on ``words``.
    """
    request = data.StructLayout({
        "window": Window, "write": 1, "address": OFFSET_BITS,
        "data": max(width for width, _ in memories_of(params).values())})
    return wiring.Signature({
        "requests": Out(stream.Signature(request)),
        "words": In(stream.Signature(8 * params.word_bytes, always_ready=True)),
    })


def memories_of(params):
    """Bits of a word, and number of words, of the memory behind each window."""
    spaces = params.spaces
    return {
        Window.PROGRAM: (32, spaces["program"]),
        Window.WEIGHTS: (8 * params.array.cols, spaces["weights"]),
        Window.PARAMS: (32 if params.single_memory else Shape.cast(ChannelParams).width,
                        spaces["params"]),
        Window.ACTIVATIONS: (8 * params.word_bytes, spaces["activations"]),
    }


def outer_weights(params):
    """Signature of an external memory for weights, as the accelerator sees it: ``read``, ``write``.
    """
    width, depth = memories_of(params)[Window.WEIGHTS]
    address_bits = ceil_log2(depth)
    return wiring.Signature({"read": Out(memory_port(address_bits, width)),
                             "write": Out(memory_port(address_bits, width, 1))})


def _ports(params):
    """A port for each unit, and one for the host."""
    sizes = memories_of(params)

    def port(window, parts=0):
        width, depth = sizes[window]
        return In(memory_port(ceil_log2(depth), width, parts))

    return {"fetch": port(Window.ACTIVATIONS), "store": port(Window.ACTIVATIONS, params.word_bytes),
            **({"residual": port(Window.ACTIVATIONS)} if params.fused else {}),
            "weights": port(Window.WEIGHTS), "params": port(Window.PARAMS),
            "program": port(Window.PROGRAM), "host": In(host_access(params))}


class SeparateMemories(wiring.Component):
    """A memory for each kind of data, so that units do not stall each other.

    The host shares the two ports of the activation memory with the units, and has priority.

    Parameters
    ----------
    params : :class:`AcceleratorParams`
        Without ``single_memory``.

    Members
    -------
    fetch, store, residual, weights, params, program : ``In(memory_port(...))``
        ``residual`` in builds with fused sums.
    host : ``In(host_access(params))``
    outer : ``Out(outer_weights(params))``
        With SDRAM: the weights.
    """

    #: Options of readers: as many slots as a throughput of one word a cycle takes. The memory of
    #: tensors is larger, and has a longer latency.
    readers = {"slots": 4}
    fetch_reader = residual_reader = {"slots": 8}

    def __init__(self, params):
        self.build = of_type("params", params, AcceleratorParams)
        if params.single_memory:
            raise ValueError(f"params must be without single_memory, not {params!r}")
        self._residual = ["residual"] if params.fused else []
        self.weight_reader = {"slots": OUTER_SLOTS} if params.sdram_bits else self.readers
        outer = {"outer": Out(outer_weights(params))} if params.sdram_bits else {}
        super().__init__(_ports(params) | outer)

    def elaborate(self, platform):
        m = Module()
        # The host's requests pass a register, so that decoding their addresses delays no unit.
        request, asked = Signal.like(self.host.requests.payload), Signal()
        register = {"output_register": self.build.output_register}
        waits = Const(0)
        for window, unit, options in ((Window.PROGRAM, "program", {}),
                                      (Window.WEIGHTS, "weights", register),
                                      (Window.PARAMS, "params", {})):
            mine = asked & (request.window == window)
            if unit == "weights" and self.build.sdram_bits:
                read, to = flipped(self.outer.read), self.outer.write.requests
                waits = mine & ~to.ready
            else:
                width, depth = memories_of(self.build)[window]
                m.submodules[f"{unit}_memory"] = memory = DualPortMemory(
                    width=width, depth=depth, **options)
                read, to = memory.read, memory.write.requests
            connect(m, flipped(getattr(self, unit)), read)
            m.d.comb += [to.valid.eq(mine), to.payload.address.eq(request.address),
                         to.payload.mask.eq(1), to.payload.data.eq(request.data)]
        m.d.comb += self.host.requests.ready.eq(~waits)
        with m.If(~waits):
            m.d.sync += [request.eq(self.host.requests.payload), asked.eq(self.host.requests.valid)]
        self._share(m, request, asked, register)
        return m

    def _share(self, m, request, asked, register):
        """The activation memory, which units share with the host."""
        width, depth = memories_of(self.build)[Window.ACTIVATIONS]
        parts = self.build.word_bytes
        m.submodules.activations = memory = DualPortMemory(
            width=width, depth=depth, parts=parts, input_register=self.build.output_register,
            **register)
        shape = {"address_bits": memory.address_bits, "width": width, "latency": memory.latency}
        clients = ["host", *self._residual, "fetch"]
        m.submodules.readers = readers = Arbiter(dict.fromkeys(clients, 0), **shape)
        m.submodules.writers = writers = Arbiter({"host": parts, "store": parts}, **shape)
        connect(m, readers.memory, memory.read)
        connect(m, writers.memory, memory.write)
        for name in clients[1:]:
            connect(m, flipped(getattr(self, name)), getattr(readers, name))
        connect(m, flipped(self.store), writers.store)
        mine = asked & (request.window == Window.ACTIVATIONS)
        m.d.comb += [
            readers.host.requests.valid.eq(mine & ~request.write),
            readers.host.requests.payload.address.eq(request.address),
            writers.host.requests.valid.eq(mine & request.write),
            writers.host.requests.payload.address.eq(request.address),
            writers.host.requests.payload.mask.eq(-1),
            writers.host.requests.payload.data.eq(request.data),
            self.host.words.valid.eq(readers.host.words.valid),
            self.host.words.payload.eq(readers.host.words.payload),
        ]


class SingleMemory(wiring.Component):
    """One memory with one port for everything: an access a cycle.

    Every window of the host shows all of it. Units that can wait longer have a lower priority. The
    host, whose address comes last in a cycle, has the lowest.

    Parameters
    ----------
    params : :class:`AcceleratorParams`
        With ``single_memory``.

    Members
    -------
    fetch, store, residual, weights, params, program : ``In(memory_port(...))``
        ``residual`` in builds with fused sums.
    host : ``In(host_access(params))``
    """

    #: Options of readers: no slots, as all units stay ready until a word comes.
    readers = weight_reader = fetch_reader = {"slots": 0}
    residual_reader = {"slots": 1}

    def __init__(self, params):
        self.build = of_type("params", params, AcceleratorParams)
        if not params.single_memory:
            raise ValueError(f"params must have single_memory, not {params!r}")
        self._residual = ["residual"] if params.fused else []
        super().__init__(_ports(params))

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = SinglePortMemory(depth=self.build.words)
        units = ["store", "params", "weights", *self._residual, "fetch", "program"]
        m.submodules.arbiter = arbiter = Arbiter(
            {name: 4 * (name in {"host", "store"}) for name in (*units, "host")},
            address_bits=memory.address_bits, width=32, latency=memory.latency)
        connect(m, arbiter.memory, memory.port)
        for name in units:
            connect(m, flipped(getattr(self, name)), getattr(arbiter, name))
        host, request = arbiter.host.requests, self.host.requests
        m.d.comb += [
            memory.parts.eq(Mux(self.store.requests.valid, self.store.requests.payload.mask, -1)),
            host.valid.eq(request.valid),
            host.payload.address.eq(request.payload.address),
            host.payload.mask.eq(request.payload.write.replicate(4)),
            host.payload.data.eq(request.payload.data),
            request.ready.eq(host.ready),
            self.host.words.valid.eq(arbiter.host.words.valid),
            self.host.words.payload.eq(arbiter.host.words.payload),
        ]
        return m
