"""Published figures of other systems, to set ours beside."""

from dataclasses import dataclass

__all__ = ["ANCHORS", "Anchor", "network_of"]

#: The reference networks of MLPerf Tiny by how the SHA-256 of their file begins: the figures
#: below are of these, unmodified.
REFERENCES = {"3c002613d1b2475e": "ResNet-8", "aeea436800704fce": "DS-CNN"}


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """A system and its inferences a second, by network."""

    system: str
    device: str
    rates: dict


#: Medians of the official results of MLPerf Tiny, rounds v0.5 to v1.3, closed division.
ANCHORS = [Anchor(system=system, device=device, rates={"ResNet-8": images, "DS-CNN": keywords})
           for system, device, images, keywords in (
    ("TFLM, v0.5", "Cortex-M4, 120 MHz", 1.42, 5.50),
    ("X-CUBE-AI, v1.3", "Cortex-M4, 120 MHz", 6.04, 23.0),
    ("Syntiant, v1.x", "NDP9120, 98 MHz", 195, 675),
    ("fpgaConvNet, v1.1", "ZyBo XC7Z010, 125 MHz", 317.5, 465),
    ("GreenWaves, v1.0", "GAP9, 370 MHz", 1623, 2103),
    ("fpgaConvNet, v1.1", "ZedBoard, 111 to 143 MHz", 2431, 3088),
)]


def network_of(sha256, name):
    """What to call a network: by the SHA-256 of its file, or ``name`` if it is none of those."""
    return next((title for begin, title in REFERENCES.items() if sha256.startswith(begin)), name)
