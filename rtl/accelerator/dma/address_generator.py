from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.validate import integer, pair

__all__ = ["AddressGenerator", "loop_nest", "loop_pair"]


def loop_nest(dims, address_bits, count_bits, tail=False):
    """Layout of nested loops over addresses, the innermost first.

    A loop counts from ``count``, a negative number, up to 0, so that the sign tells its last
    iteration.
    """
    loop = data.StructLayout({"count": signed(count_bits + 1), "step": signed(address_bits + 1)})
    return data.StructLayout({
        "base": address_bits,
        "loops": data.ArrayLayout(loop, dims),  # 1 less iterations; distance from one to the next
        **({"tail": signed(count_bits + 1)} if tail else {}),
    })


def loop_pair(name, value, dims):
    """``value``, a pair of loops ``(inner, outer)`` of ``dims``, as a tuple."""
    inner, outer = pair(name, value)
    outer = integer(f"the outer loop of {name}", outer, 1, dims - 1)
    return integer(f"the inner loop of {name}", inner, 0, outer - 1), outer


class AddressGenerator(wiring.Component):
    """Addresses of a loop nest: ``base`` plus the sum of ``index * step`` over all loops.

    Throughput is one address a cycle; nothing depends combinationally on ``o.ready``. An address
    below 0 or of more than ``address_bits`` bits is ``outside``; those after it are meaningless.

    Parameters
    ----------
    dims, address_bits, count_bits : :class:`int`
        Depth of the loop nest; bits of an address, and of a number of iterations.
    tail : pair of :class:`int` or None
        ``(inner, outer)``: in the last iteration of loop ``outer``, loop ``inner`` within it counts
        from ``tail``.

    Members
    -------
    config : ``In(loop_nest(...))``
        Holds from ``init`` until the last address is taken.
    init : ``In(1)``
        Begin; the first address is offered from the next cycle on.
    o : ``Out(stream)``
        ``address``; ``outside``; ``ends``, a bit for each loop: it is in its last iteration;
        ``over``: it and all loops within it are.
    """

    def __init__(self, *, dims, address_bits, count_bits, tail=None):
        self.dims = dims = integer("dims", dims, 1, 16)
        address_bits = integer("address_bits", address_bits, 1, 32)
        count_bits = integer("count_bits", count_bits, 1, 32)
        self.tail = None if tail is None else loop_pair("tail", tail, dims)
        self.config_layout = loop_nest(dims, address_bits, count_bits, tail is not None)
        super().__init__({
            "config": In(self.config_layout),
            "init": In(1),
            "o": Out(stream.Signature(data.StructLayout({
                "address": address_bits, "outside": 1, "ends": dims, "over": dims}))),
        })

    def elaborate(self, platform):
        m = Module()
        loops, o = self.config.loops, self.o.payload
        # A step from an address within the memory, up or down, is outside just if the bit above
        # the address's is set.
        place = Cat(o.address, o.outside)
        left = [Signal.like(loops[0].count, name=f"left_{n}") for n in range(self.dims)]
        # Address at which the current iteration of each loop began; for the innermost loop that is
        # the address itself.
        began = [place, *(Signal(len(place), name=f"began_{n}") for n in range(1, self.dims))]
        over = Const(1)
        for index in range(self.dims):
            m.d.comb += o.ends[index].eq(~left[index][-1])
            over = over & o.ends[index]
            m.d.comb += o.over[index].eq(over)

        def counts(index, last_outer):
            """The count that a loop starts with."""
            if self.tail is None or index != self.tail[0]:
                return loops[index].count
            return Mux(last_outer, self.config.tail, loops[index].count)

        with m.If(self.o.valid & self.o.ready):
            after = Signal(len(place))
            with m.If(o.over[-1]):
                m.d.sync += self.o.valid.eq(0)
            for index in reversed(range(self.dims)):
                inner = o.over[index - 1] if index else Const(1)
                with m.If(inner & ~o.over[index]):
                    m.d.comb += after.eq(began[index] + loops[index].step)
                    m.d.sync += left[index].eq(left[index] + 1)
                    m.d.sync += [began[k].eq(after) for k in range(index + 1)]
                    last_outer = 0
                    if self.tail is not None:
                        outer = left[self.tail[1]]
                        last_outer = outer.all() if index == self.tail[1] else ~outer[-1]
                    m.d.sync += [left[k].eq(counts(k, last_outer)) for k in range(index)]
        with m.If(self.init):
            m.d.sync += self.o.valid.eq(1)
            m.d.sync += [address.eq(self.config.base) for address in began]
            single = ~loops[self.tail[1]].count[-1] if self.tail is not None else 0
            m.d.sync += [left[k].eq(counts(k, single)) for k in range(self.dims)]
        return m
