"""Around a core without a board: four pins, however many ports the core has."""

from amaranth import *
from amaranth.build import Platform
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.export.rtlil import ports_of

__all__ = ["Harness"]

#: Inputs of a LUT: bits that one level of the fold takes together.
ARITY = 4


class Harness(wiring.Component):
    """A core between registers, for place and route out of context.

    Every input of the core comes from one bit of a shift register, every output goes to a register
    and from there, by a pipelined tree of exclusive ors, to one pin. So all paths of the core are
    timed from register to register, nothing in it is constant and nothing goes unused, and no path
    of the harness is deeper than one LUT. The core is the submodule ``core``; synthesis must keep
    its boundary, or registers on both sides of it that hold the same would become one.

    Parameters
    ----------
    core : :class:`wiring.Component`

    Members
    -------
    scan : ``In(1)``
        Enters the shift register.
    fold : ``Out(1)``
        Depends on each output of the core.
    """

    def __init__(self, core: wiring.Component) -> None:
        if not isinstance(core, wiring.Component):
            raise TypeError(f"core must be a component, not {core!r}")
        self.core = core
        super().__init__({"scan": In(1), "fold": Out(1)})

    def elaborate(self, platform: str | Platform | None) -> Module:
        m = Module()
        # The reset of the core leaves a register like its other inputs, so that it is timed too.
        reset = Signal(reset_less=True)
        m.domains.core = domain = ClockDomain()
        m.d.sync += reset.eq(ResetSignal())
        m.d.comb += [domain.clk.eq(ClockSignal()), domain.rst.eq(reset)]
        m.submodules.core = DomainRenamer("core")(self.core)

        ports = ports_of(self.core).values()
        inputs = Cat(value for value, member, _ in ports if member.flow == In)
        outputs = Cat(value for value, member, _ in ports if member.flow == Out)

        chain = Signal(len(inputs), reset_less=True)
        level = Signal(len(outputs), name="captured", reset_less=True)
        m.d.core += [chain.eq(Cat(self.scan, chain)), level.eq(outputs)]
        m.d.comb += inputs.eq(chain)
        while len(level) > 1:
            parts = [level[at:at + ARITY] for at in range(0, len(level), ARITY)]
            level = Signal(len(parts), name="folded", reset_less=True)
            m.d.core += level.eq(Cat(part.xor() for part in parts))
        m.d.comb += self.fold.eq(level)
        return m
