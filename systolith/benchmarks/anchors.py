"""Published figures of other systems, to set ours beside."""

from dataclasses import dataclass, field

__all__ = ["ANCHORS", "Anchor", "network_of"]

#: The reference networks of MLPerf Tiny by how the SHA-256 of their file begins: the figures
#: below are of these, unmodified, unless they say otherwise.
REFERENCES = {"3c002613d1b2475e": "ResNet-8", "aeea436800704fce": "DS-CNN"}


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """A system, and what is published of it by network: inferences per second, or cycles of one.

    ``note`` says why its figures are no measure of the same work.
    """

    system: str
    device: str
    rates: dict[str, float] = field(default_factory=dict)
    cycles: dict[str, int] = field(default_factory=dict)
    note: str = ""

    @property
    def title(self) -> str:
        """What to call it, with all that has to be known of its figures."""
        notes = ", ".join(filter(None, [self.note, "by cycles" if self.cycles else ""]))
        return f"{self.system} on {self.device}{f' ({notes})' if notes else ''}"

    def figure(self, network: str) -> str:
        """What is published of a network, as text; empty if nothing is."""
        if network in self.cycles:
            return f"{self.cycles[network] / 1e6:g} M cycles"
        return f"{self.rates[network]:,g}" if network in self.rates else ""

    def ratio(self, network: str, cycles: int, per_second: float | None) -> float | None:
        """How many times as fast ``cycles`` of an inference are, or ``per_second`` inferences if
        that is known; None where there is nothing to compare."""
        if network in self.cycles:
            return self.cycles[network] / cycles
        if per_second and network in self.rates:
            return per_second / self.rates[network]
        return None


def _anchor(system: str, device: str, images: float | None = None, keywords: float | None = None,
            note: str = "") -> Anchor:
    rates = {"ResNet-8": images, "DS-CNN": keywords}
    return Anchor(system=system, device=device, note=note,
                  rates={name: rate for name, rate in rates.items() if rate})


#: In the open division networks are everybody's own: those below are smaller, and 76 to 84 % of
#: their results are right.
OPEN = "open division, other networks"

#: Medians of the official results of MLPerf Tiny, rounds v0.5 to v1.3, closed division but for
#: :data:`OPEN`; and what CFU-Playground's sources say of theirs (``DESIGN.md`` of
#: ``kws_micro_accel``).
ANCHORS = [
    _anchor("TFLM, v0.5", "Cortex-M4, 120 MHz", 1.42, 5.50),
    _anchor("X-CUBE-AI, v1.3", "Cortex-M4, 120 MHz", 6.04, 23.0),
    _anchor("Syntiant, v1.x", "NDP9120, 98 MHz", 195, 675),
    _anchor("fpgaConvNet, v1.1", "ZyBo XC7Z010, 125 MHz", 317.5, 465),
    _anchor("GreenWaves, v1.0", "GAP9, 370 MHz", 1623, 2103),
    _anchor("fpgaConvNet, v1.1", "ZedBoard, 111 to 143 MHz", 2431, 3088),
    _anchor("fpgaConvNet, v1.1", "ZC706, 187 to 200 MHz", 6790),
    _anchor("hls4ml/FINN, v0.7", "Pynq-Z2, 100 MHz", 36.6, note=OPEN),
    _anchor("hls4ml/FINN, v0.7", "Pynq-Z2, 100 MHz", 661, 57_268,
            note=f"{OPEN} of 1 and 3 bits"),
    Anchor(system="CFU-Playground, kws_micro_accel", device="iCE40UP5K",
           cycles={"DS-CNN": 25_200_000}),
]


def network_of(sha256: str, name: str) -> str:
    """What to call a network: by the SHA-256 of its file, or ``name`` if it is none of those."""
    return next((title for begin, title in REFERENCES.items() if sha256.startswith(begin)), name)
