"""The clock of a build from that of its board."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

from amaranth import *
from amaranth.lib import io

__all__ = ["Ecp5Pll", "Ice40Pll", "Pll", "pll_of"]

#: Clocks of a whole number of kHz are told apart; nearer ones are taken for the same.
CLOSE = 1e-3


class Pll(Protocol):
    """Dividers of the PLL of a family, and the clock that they make."""

    @property
    def mhz(self) -> float: ...

    def instance(self, *signals: Any, **options: Any) -> Instance:
        """The primitive, from the signal ``source`` to ``clock`` and ``locked``, with options of
        the family's own."""


T = TypeVar("T", bound=Pll)


@dataclass(frozen=True, kw_only=True)
class Ecp5Pll:
    """Dividers of an ``EHXPLLL`` that is fed back from ``CLKOP`` and gives ``CLKOS``, and
    on demand ``CLKOS2``, a copy of that which comes later.

    ``f_vco = f / i * feedback * op`` and ``mhz = f_vco / os``.
    """

    # Ref: FPGA-TN-02200, ECP5 and ECP5-5G sysCLOCK PLL/DLL Design and Usage Guide; limits:
    # FPGA-DS-02012, ECP5 and ECP5-5G Family Data Sheet, sysCLOCK PLL timing
    i: int
    feedback: int
    op: int
    os: int
    mhz: float

    @classmethod
    def of(cls, source: float, mhz: float) -> Self:
        """The dividers by which ``source`` MHz come nearest to ``mhz``, but not above it."""
        choices = []
        for i in range(1, int(source // 10) + 1):            # phase detector: 10 MHz or more
            for product in range(1, 129):
                vco = source / i * product
                if not 400 <= vco <= 800:
                    continue
                os = -int(-vco // mhz)
                # CLKOP itself has to lie in 3.125 to 400 MHz, as CLKOS has.
                for op in (n for n in range(1, 129) if product % n == 0):
                    if os <= 128 and 3.125 <= vco / op <= 400 and vco / os <= mhz + CLOSE:
                        choices.append(cls(i=i, feedback=product // op, op=op, os=os,
                                           mhz=vco / os))
                        break
        return _nearest(choices, source, mhz)

    def instance(self, source: Value, clock: Signal, locked: Signal, *, late: Signal | None = None,
                 degrees: int = 0) -> Instance:
        """The primitive, from the signal ``source`` to the signals ``clock`` and ``locked``; and to
        ``late``, ``degrees`` of a period behind ``clock``."""
        feedback, copy = Signal(), {}
        if late is not None:
            # Phases count periods of the VCO, and eighths of one.
            coarse, fine = divmod(round(8 * self.os * degrees / 360), 8)
            copy = {"p_CLKOS2_ENABLE": "ENABLED", "p_CLKOS2_DIV": self.os,
                    "p_CLKOS2_CPHASE": self.os - 1 + coarse, "p_CLKOS2_FPHASE": fine,
                    "o_CLKOS2": late}
        return Instance(
            "EHXPLLL",
            a_ICP_CURRENT="12", a_LPF_RESISTOR="8", a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_PLLRST_ENA="DISABLED", p_INTFB_WAKE="DISABLED", p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED", p_OUTDIVIDER_MUXA="DIVA", p_OUTDIVIDER_MUXB="DIVB",
            p_CLKOP_ENABLE="ENABLED", p_CLKOP_DIV=self.op, p_CLKOP_CPHASE=self.op - 1,
            p_CLKOP_FPHASE=0,
            p_CLKOS_ENABLE="ENABLED", p_CLKOS_DIV=self.os, p_CLKOS_CPHASE=self.os - 1,
            p_CLKOS_FPHASE=0,
            p_FEEDBK_PATH="CLKOP", p_CLKI_DIV=self.i, p_CLKFB_DIV=self.feedback,
            i_CLKI=source, i_CLKFB=feedback, i_RST=0, i_STDBY=0, i_PHASESEL0=0, i_PHASESEL1=0,
            i_PHASEDIR=1, i_PHASESTEP=1, i_PHASELOADREG=1, i_PLLWAKESYNC=0, i_ENCLKOP=0,
            i_ENCLKOS=0,
            o_CLKOP=feedback, o_CLKOS=clock, o_LOCK=locked, **copy)


@dataclass(frozen=True, kw_only=True)
class Ice40Pll:
    """Dividers of an ``SB_PLL40_CORE`` or ``SB_PLL40_PAD`` with simple feedback.

    ``f_vco = f * (divf + 1) / (divr + 1)`` and ``mhz = f_vco / 2^divq``. A clock that comes in at
    the pad of the PLL has to take it from there: ``pad``.
    """

    # Ref: FPGA-TN-02052, iCE40 sysCLOCK PLL Design and Usage Guide
    divr: int
    divf: int
    divq: int
    mhz: float
    pfd: float

    #: The least phase detector's MHz of each filter range but 1.
    FILTERS = 17, 26, 44, 66, 101

    @classmethod
    def of(cls, source: float, mhz: float) -> Self:
        """The dividers by which ``source`` MHz come nearest to ``mhz``, but not above it."""
        choices = [
            cls(divr=divr, divf=divf, divq=divq, mhz=vco / (1 << divq), pfd=pfd)
            for divr in range(16) if 10 <= (pfd := source / (divr + 1)) <= 133
            for divf in range(128) if 533 <= (vco := pfd * (divf + 1)) <= 1066
            for divq in range(1, 7) if vco / (1 << divq) <= mhz + CLOSE]
        return _nearest(choices, source, mhz)

    def instance(self, source: Value | io.PortLike, clock: Signal, locked: Signal, *,
                 pad: bool = False) -> Instance:
        """The primitive, from the signal or pin ``source`` to ``clock`` and ``locked``."""
        kind, pin = ("SB_PLL40_PAD", "PACKAGEPIN") if pad else ("SB_PLL40_CORE", "REFERENCECLK")
        filter_range = 1 + sum(self.pfd >= bound for bound in self.FILTERS)
        return Instance(
            kind, p_FEEDBACK_PATH="SIMPLE", p_DIVR=Const(self.divr, 4), p_DIVF=Const(self.divf, 7),
            p_DIVQ=Const(self.divq, 3), p_FILTER_RANGE=Const(filter_range, 3),
            **{f"i_{pin}": source}, i_RESETB=1, i_BYPASS=0, o_PLLOUTGLOBAL=clock, o_LOCK=locked)


def pll_of(family: str, source: float, mhz: float) -> Pll:
    """The PLL of a ``family`` that makes at most ``mhz`` of ``source`` MHz, as near as it can.

    Raises :exc:`ValueError` if it cannot come within a tenth.
    """
    plls: dict[str, type[Ecp5Pll] | type[Ice40Pll]] = {"ecp5": Ecp5Pll, "ice40": Ice40Pll}
    return plls[family].of(source, mhz)


def _nearest(choices: Sequence[T], source: float, mhz: float) -> T:
    if not choices or max(choice.mhz for choice in choices) < 0.9 * mhz:
        raise ValueError(f"the PLL cannot make {mhz} MHz of {source} MHz")
    return max(choices, key=lambda choice: choice.mhz)
