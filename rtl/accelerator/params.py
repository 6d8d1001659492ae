from dataclasses import dataclass

from amaranth.utils import ceil_log2

from rtl.check import integer, one_of
from rtl.im2col import Im2colParams
from rtl.params import ArrayParams

__all__ = ["AcceleratorParams", "COUNT_BITS"]

#: Bits of a loop's count in a descriptor.
COUNT_BITS = 12


@dataclass(frozen=True, kw_only=True)
class AcceleratorParams:
    """Parameters of an :class:`Accelerator`.

    Parameters
    ----------
    array : :class:`ArrayParams`
    depth, lanes, requantize, rounding, output_register
        As of :class:`Gemm` and :class:`Requantizer`; ``lanes`` is a power of two.
    buffer_bytes, max_lines
        As of :class:`Im2colParams`.
    activation_bytes : :class:`int`
        Memory for all tensors that are alive at a time; a power of two.
    weight_bytes : :class:`int`
        Memory for the weights of the whole network.
    channels : :class:`int`
        Output channels of the whole network: each has parameters.
    program_words : :class:`int`
        Words of 32 bits for the descriptors of all layers.
    """

    array: ArrayParams
    depth: int = 512
    lanes: int = 4
    requantize: int = 1
    rounding: str = "tflm"
    output_register: bool = True
    buffer_bytes: int = 16384
    max_lines: int = 1024
    activation_bytes: int = 65536
    weight_bytes: int = 131072
    channels: int = 1024
    program_words: int = 2048

    def __post_init__(self):
        if not isinstance(self.array, ArrayParams):
            raise TypeError(f"array must be ArrayParams, not {self.array!r}")
        one_of("lanes", self.lanes, [n for n in (1, 2, 4, 8, 16, 32)
                                     if n <= self.word_bytes and self.array.cols % n == 0])
        for name, low, high in (("activation_bytes", 64, 1 << 20), ("weight_bytes", 64, 1 << 22),
                                ("channels", 8, 1 << 16), ("program_words", 64, 1 << 16)):
            integer(name, getattr(self, name), low, high)
        if self.activation_bytes & (self.activation_bytes - 1):
            raise ValueError(f"activation_bytes must be a power of two, not "
                             f"{self.activation_bytes}")
        _ = self.im2col  # refuses what the line buffer cannot be

    @property
    def word_bytes(self):
        """Bytes of a word of activations: what enters the line buffer in a cycle."""
        return 1 << ceil_log2(self.array.lanes)

    @property
    def words(self):
        """Words of activations."""
        return self.activation_bytes // self.word_bytes

    @property
    def weight_rows(self):
        """Rows of weights, of a byte for each column."""
        return self.weight_bytes // self.array.cols

    @property
    def im2col(self):
        """Parameters of the im2col unit: one picture a layer."""
        return Im2colParams(
            rows=self.array.rows, lanes=self.array.lanes, word_bytes=self.word_bytes,
            buffer_bytes=self.buffer_bytes, max_lines=self.max_lines, max_pictures=1,
            fir=self.array.fir_rows > 0, output_register=self.output_register)
