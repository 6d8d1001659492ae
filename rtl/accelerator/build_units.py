from amaranth import *
from amaranth.utils import ceil_log2

from rtl.accelerator.control.sequencer import Sequencer
from rtl.accelerator.dma.activation_reader import ActivationReader
from rtl.accelerator.dma.activation_writer import ActivationWriter
from rtl.accelerator.dma.shared_address_generator import AddressedReader, SharedAddressGenerator
from rtl.accelerator.dma.weight_reader import ParamReader, SequenceReader
from rtl.accelerator.memories import SeparateMemories, SingleMemory, memories_of
from rtl.accelerator.params import COUNT_BITS
from rtl.accelerator.registers import Window
from rtl.accelerator.units.add import Add
from rtl.accelerator.units.pool import Pool
from rtl.accelerator.units.residual import Residual
from rtl.gemm import Gemm
from rtl.im2col import Im2col
from rtl.postprocess import Requantizer

__all__ = ["Units"]


class Units:
    """All units of a build, each an attribute; None where the build has none.

    ``clear`` resets what it is applied to with the sequencer's ``clear``.
    """

    def __init__(self, params):
        array, drain_lanes = params.array, params.drain_lanes
        self.sequencer = Sequencer(params)
        self.clear = ResetInserter(self.sequencer.clear)
        self.memories = memories = (
    SingleMemory if params.single_memory else SeparateMemories)(params)
        words = {"address_bits": ceil_log2(params.words), "word_bytes": params.word_bytes}
        self.store = ActivationWriter(
            **words, drain_lanes=drain_lanes, cols=array.cols, pixel_lanes=params.pixel_lanes,
            count_bits=COUNT_BITS, shared_agu=params.shared_agu,
            **({"ahead": params.ahead, "reader": memories.residual_reader}
               if params.fused else {}))
        self.fetch, self.weights, self.params = (
            self._walking if params.shared_agu else self._counting)(params, words)
        self.gather = ParamReader(drain_lanes=drain_lanes, width=len(self.params.o.payload),
                                  direct=not params.shared_agu)
        self.im2col = Im2col(params.im2col)
        self.gemm = Gemm(array, depth=params.depth, drain_lanes=drain_lanes,
                         pixel_lanes=params.pixel_lanes,
                         requantize=0, output_register=params.output_register,
                         sum_bits=params.sum_bits)
        self.requantizer = Requantizer(
            drain_lanes=drain_lanes, cycles=params.requantize, rounding=params.rounding,
            twice=params.fused,
            bits=params.total_bits)
        self.pool = self.add = self.residual = self.walks = None
        if params.pooling:
            self.pool = Pool(word_bytes=params.word_bytes, drain_lanes=drain_lanes)
        if params.addition:
            self.add = Add(word_bytes=params.word_bytes, drain_lanes=drain_lanes, cols=array.cols,
                           ahead=not params.shared_agu, output_register=params.output_register)
        if params.fused:
            self.residual = Residual(word_bytes=params.word_bytes, drain_lanes=drain_lanes,
                                     room=params.ahead // 2)
        if params.shared_agu:
            self.walks = SharedAddressGenerator(params)

    def _walking(self, params, words):
        """Readers that one unit for all loops leads."""
        return (AddressedReader(**words, **self.memories.readers, fetched=fetched)
                for fetched in (True, False, False))

    def _counting(self, params, words):
        """Readers with loops of their own."""
        memories, windows = self.memories, memories_of(params)
        yield ActivationReader(**words, **memories.fetch_reader, count_bits=COUNT_BITS)
        for window, reader in ((Window.WEIGHTS, memories.weight_reader),
                               (Window.PARAMS, memories.readers)):
            width, depth = windows[window]
            yield SequenceReader(width=width, depth=depth, **reader, count_bits=COUNT_BITS)

    @property
    def movers(self):
        """The units that move words between memories and the others, by their name."""
        return {name: getattr(self, name) for name in ("fetch", "store", "weights", "params")}
