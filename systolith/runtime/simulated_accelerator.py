# amaranth: UnusedElaboratable=no
"""Networks on the compiled simulation of the accelerator."""

from pathlib import Path

import numpy as np

from rtl.accelerator import Accelerator, AcceleratorParams, SdramAccelerator
from rtl.accelerator.registers import OFFSET_BITS, Window
from rtl.memory.sdram import SdramChip
from sim.compiled import CompiledSim
from sim.sdram import sdram_table
from systolith.runtime.driver import AcceleratorDriver
from systolith.runtime.transfers import Addresses, Pending, Words

__all__ = ["SimulatedAccelerator"]

#: Cycles to wait for an answer: more than any network takes.
TIMEOUT = 1 << 32


class SimulatedAccelerator(AcceleratorDriver):
    """An :class:`Accelerator` behind its command port, with one network loaded.

    Parameters
    ----------
    params : :class:`AcceleratorParams`
    chip, mhz : as of :class:`SdramAccelerator`
        Of the SDRAM whose model is beside it, if its weights lie there.
    trace : path or None
        File for waveforms (VCD).
    """

    def __init__(self, params: AcceleratorParams, *, chip: SdramChip | None = None, mhz: float = 90,
                 trace: str | Path | None = None) -> None:
        self.params, key = params, repr(params)
        if params.sdram_bits:
            core = SdramAccelerator(params, chip=chip, mhz=mhz)
            key = f"{key} {core.chip!r} {mhz}"
        else:
            core = Accelerator(params)
        self.sim = CompiledSim(core, trace=trace, key=key, table=sdram_table(core))

    def post_write(self, address: int, words: Words) -> None:
        count = len(words)
        self.sim.push("commands", {"write": np.ones(count, int),
                                   "address": address + np.arange(count),
                                   "data": np.asarray(words).astype(np.int64)})
        taken = self.sim.record("commands")[0]
        self.sim.run({"commands": taken + count}, idle=TIMEOUT)

    def post_read(self, addresses: Addresses) -> Pending[Words]:
        count, before = len(addresses), self.sim.record("o")[0]
        self.sim.push("commands", {"write": np.zeros(count, int), "address": addresses,
                                   "data": np.zeros(count, int)})
        self.sim.run({"o": before + count}, idle=TIMEOUT)
        words = self.sim.pull("o")[before:]
        return lambda: words

    def post_wait(self) -> None:
        # Commands to a memory wait for the end of the run, which the hardware itself ensures.
        self.post_read(np.array([Window.CYCLES << OFFSET_BITS]))

    def close(self) -> None:
        """Finish the file of waveforms."""
        self.sim.close()
