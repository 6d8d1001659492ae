"""What other open cores reach through the same tools, to compare with."""

from dataclasses import dataclass

__all__ = ["PEERS", "Peer", "peers_of"]


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A core of another project, in the harness of :mod:`boards.flow.harness`, placed and routed.

    ``core`` is the core of ours that does the same; ``mhz`` the median of 3 seeds, or one seed.
    """

    name: str
    core: str
    device: str
    macs_per_cycle: int
    luts: int
    dsps: int
    mhz: int

    @property
    def gmacs(self) -> float:
        """10^9 products a second."""
        return self.macs_per_cycle * self.mhz / 1e3

    @property
    def luts_per_mac(self) -> float:
        return self.luts / self.macs_per_cycle


PEERS = [Peer(name=name, core=core, device=device, macs_per_cycle=macs, luts=luts, dsps=dsps,
              mhz=mhz)
         for name, core, device, macs, luts, dsps, mhz in (
    ("CFU-Playground hps_accel, array", "array", "lfe5u-85f", 32, 2027, 32, 119),
    ("CFU-Playground hps_accel, core", "conv2d", "lfe5u-85f", 32, 4795, 36, 76),
    ("axis-systolic-array 8x8", "array", "lfe5u-85f", 64, 6602, 64, 90),
    ("tinyTPU multiply unit 8x8", "array", "lfe5u-85f", 64, 1592, 64, 107),
    ("OpenTPU array 8x8", "array", "lfe5u-85f", 64, 2749, 64, 62),
    ("deepsocflow engine 8x12", "conv2d", "lfe5u-85f", 96, 17134, 96, 84),
    ("axis-systolic-array 2x4", "array", "up5k", 8, 1231, 8, 48),
)]


def peers_of(core: str, family: str) -> list[Peer]:
    """The :class:`Peer` of ``core`` on devices of ``family``."""
    return [peer for peer in PEERS
            if peer.core == core and (peer.device == "up5k") == (family == "ice40")]
