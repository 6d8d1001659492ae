from amaranth import *
from amaranth.utils import ceil_log2

from rtl.accelerator.control.sequencer import Sequencer
from rtl.accelerator.dma.activation_reader import ActivationReader
from rtl.accelerator.dma.activation_writer import ActivationWriter
from rtl.accelerator.dma.shared_address_generator import AddressedReader, SharedAddressGenerator
from rtl.accelerator.dma.weight_reader import ParamReader, SequenceReader
from rtl.accelerator.memories import SeparateMemories, SingleMemory, memories_of
from rtl.accelerator.params import COUNT_BITS, AcceleratorParams
from rtl.accelerator.registers import Window
from rtl.accelerator.units.add import Add
from rtl.accelerator.units.pool import Pool
from rtl.accelerator.units.residual import Residual
from rtl.gemm import Gemm
from rtl.im2col import Im2col
from rtl.postprocess import Requantizer
from rtl.validate import of_type

__all__ = ["Units"]


class Units:
    """All units of a build, each an attribute, which is None where the build has no such unit.

    ``clear`` adds the sequencer's ``clear`` to the resets of the unit that it is applied to.
    """

    def __init__(self, params):
        of_type("params", params, AcceleratorParams)
        array, drain_lanes = params.array, params.drain_lanes
        self.sequencer = Sequencer(params)
        self.clear = ResetInserter(self.sequencer.clear)
        self.memories = memories = (
            SingleMemory if params.single_memory else SeparateMemories)(params)
        words = {"address_bits": ceil_log2(params.words), "word_bytes": params.word_bytes}
        self.store = ActivationWriter(
            **words, drain_lanes=drain_lanes, cols=array.cols, pixel_lanes=params.pixel_lanes,
            count_bits=COUNT_BITS, shared_agu=params.shared_agu,
            **({"residual_depth": params.residual_depth, "reader": memories.residual_reader}
               if params.fused else {}))
        self.fetch, self.weights, self.params = (
            self._addressed_readers if params.shared_agu else self._own_readers)(params, words)
        self.gather = ParamReader(drain_lanes=drain_lanes, width=len(self.params.o.payload),
                                  direct=not params.shared_agu)
        self.im2col = Im2col(params.im2col)
        self.gemm = Gemm(array, depth=params.depth, drain_lanes=drain_lanes,
                         pixel_lanes=params.pixel_lanes, requantize=0,
                         output_register=params.output_register, sum_bits=params.sum_bits)
        self.requantizer = Requantizer(
            drain_lanes=drain_lanes, cycles=params.requantize, rounding=params.rounding,
            twice=params.fused, bits=params.total_bits)
        self.pool = self.add = self.residual = self.agu = None
        if params.pooling:
            self.pool = Pool(word_bytes=params.word_bytes, drain_lanes=drain_lanes)
        if params.addition:
            self.add = Add(word_bytes=params.word_bytes, drain_lanes=drain_lanes, cols=array.cols,
                           double_buffered=not params.shared_agu,
                           output_register=params.output_register)
        if params.fused:
            self.residual = Residual(word_bytes=params.word_bytes, drain_lanes=drain_lanes,
                                     depth=params.residual_depth // 2)
        if params.shared_agu:
            self.agu = SharedAddressGenerator(params)

    def _addressed_readers(self, params, words):
        """Readers at the addresses of the shared generator."""
        return (AddressedReader(**words, **self.memories.readers, tensor=tensor)
                for tensor in (True, False, False))

    def _own_readers(self, params, words):
        """Readers with address generators of their own."""
        memories, windows = self.memories, memories_of(params)
        yield ActivationReader(**words, **memories.fetch_reader, count_bits=COUNT_BITS)
        for window, reader in ((Window.WEIGHTS, memories.weight_reader),
                               (Window.PARAMS, memories.readers)):
            width, depth = windows[window]
            yield SequenceReader(width=width, depth=depth, **reader, count_bits=COUNT_BITS)

    @property
    def dma(self):
        """The units that transfer words between memories and the others, by their name."""
        return {name: getattr(self, name) for name in ("fetch", "store", "weights", "params")}
