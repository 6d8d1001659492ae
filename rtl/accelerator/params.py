from collections.abc import Mapping
from dataclasses import dataclass, fields

from amaranth.hdl import Shape
from amaranth.utils import ceil_log2

from rtl.accelerator.registers import OFFSET_BITS, PARAMETERS, Flag
from rtl.im2col import Im2colParams
from rtl.layouts import ChannelParams
from rtl.memory.sdram import burst_of
from rtl.params import ArrayParams
from rtl.postprocess import Requantizer, short_acc_range
from rtl.validate import boolean, integer, of_type, one_of, power_of_two

__all__ = ["AcceleratorParams", "COUNT_BITS", "SHARED_AGU_BYTES", "TOTAL_BITS",
           "weight_room"]

#: Bits of a loop's count in a descriptor.
COUNT_BITS = 12

#: Minimum width of a sum that is requantised: that of two tensors, in units of ``2^-20``.
TOTAL_BITS = 29

#: Maximum size of the memory of a ``shared_agu`` build: what its address generator can address.
SHARED_AGU_BYTES = 1 << 17

#: Roundings of a build by its flags TFLM and FLOAT32.
ROUNDINGS = {(True, False): "tflm", (False, True): "float32", (True, True): "both"}


def weight_room(cols: int) -> int:
    """Bytes of weights that their window can address, in words of a byte for each column."""
    return cols << OFFSET_BITS - ceil_log2(-(-cols // 4))


@dataclass(frozen=True, kw_only=True)
class AcceleratorParams:
    """Parameters of an :class:`Accelerator`.

    Parameters
    ----------
    array : :class:`ArrayParams`
    depth, drain_lanes, pixel_lanes, requantize, rounding, output_register
        As of :class:`Gemm` and :class:`Requantizer`; ``drain_lanes`` is a power of two.
    buffer_bytes, max_lines
        As of :class:`Im2colParams`.
    pooling, addition : :class:`bool`
        Whether there is a unit for it.
    fused : :class:`bool`
        Whether a sum can be fused into the convolution before it; no effect without ``addition``.
    activation_bytes : :class:`int`
        Memory for all tensors that are live at a time; a power of two.
    weight_bytes : :class:`int`
        Memory for the weights of the whole network.
    sdram_bits : :class:`int`
        Data pins of the SDRAM in which the weights lie: 16 or 32, 0 for a memory on the chip. A
        word of weights, a byte for each column, takes at most 8 cycles.
    channels : :class:`int`
        Output channels of the whole network: each has parameters.
    program_words : :class:`int`
        Words of 32 bits for the descriptors of all layers.
    single_memory : :class:`bool`
        Whether activations, weights, parameters and program share one memory with one port, of
        ``activation_bytes``. Words have 4 bytes then, and the array 4 columns; the sizes of the
        other memories are ignored.
    prefetch : :class:`bool`
        Whether a descriptor is loaded while the layer before it runs: a register for each of its
        bits, and some 30 cycles less for each layer.
    shared_agu : :class:`bool`
        Whether all units share one address-generation unit, with its loops in block RAM: far
        smaller, at an address every second cycle for each unit. Requires a single memory, one pixel
        lane, and neither pooling nor prefetch.
    sum_bits : :class:`int`
        Width of an accumulator, 16 to 32. It must hold the sum of the products of any filter or, if
        it is more than :data:`TOTAL_BITS`, that sum with the bias.
    stall_timeout, layer_timeout : :class:`int`
        Cycles without any transfer after which a layer is aborted, and cycles that a layer may take
        in all: powers of two.

    Raises
    ------
    :exc:`TypeError`
        If a parameter has the wrong type.
    :exc:`ValueError`
        If a parameter is out of range, or cannot be combined with another.
    """

    array: ArrayParams
    depth: int = 512
    drain_lanes: int = 4
    pixel_lanes: int = 1
    requantize: int = 1
    rounding: str = "tflm"
    output_register: bool = True
    buffer_bytes: int = 16384
    max_lines: int = 1024
    pooling: bool = True
    addition: bool = True
    fused: bool = True
    activation_bytes: int = 65536
    weight_bytes: int = 131072
    sdram_bits: int = 0
    channels: int = 1024
    program_words: int = 2048
    single_memory: bool = False
    prefetch: bool = True
    shared_agu: bool = False
    sum_bits: int = 32
    stall_timeout: int = 1 << 16
    layer_timeout: int = 1 << 30

    def __post_init__(self) -> None:
        def settle(check, name, *limits):
            object.__setattr__(self, name, check(name, getattr(self, name), *limits))

        of_type("array", self.array, ArrayParams)
        for name in ("output_register", "pooling", "addition", "fused", "single_memory", "prefetch",
                     "shared_agu"):
            boolean(name, getattr(self, name))
        object.__setattr__(self, "fused", self.fused and self.addition)
        settle(one_of, "drain_lanes", [
            lanes for lanes in (1, 2, 4, 8, 16, 32)
            if lanes <= self.word_bytes and self.array.cols % lanes == 0])
        requantize, _ = Requantizer.check("requantize", self.requantize, self.rounding)
        object.__setattr__(self, "requantize", requantize)
        for check, name, low, high in (
                (integer, "depth", 2, 4096), (power_of_two, "activation_bytes", 64, 1 << 20),
                (integer, "weight_bytes", 64, 1 << 22), (integer, "channels", 8, 1 << 16),
                (integer, "program_words", 64, 1 << 16), (integer, "sum_bits", 16, 32),
                (power_of_two, "stall_timeout", 64, 1 << 24),
                (power_of_two, "layer_timeout", 64, 1 << 30)):
            settle(check, name, low, high)
        settle(one_of, "sdram_bits", (0, 16, 32))
        for name in ("buffer_bytes", "max_lines", "pixel_lanes"):
            # Building these parameters refuses whatever the im2col unit cannot be.
            object.__setattr__(self, name, getattr(self.im2col, name))
        self._check_memories()

    def _check_memories(self):
        """Refuse parameters of memories that cannot be combined."""
        if self.single_memory and (self.word_bytes, self.array.cols) != (4, 4):
            raise ValueError("a single memory needs words of 4 bytes and 4 columns, not "
                             f"{self.word_bytes} and {self.array.cols}")
        if self.shared_agu and (not self.single_memory or self.pooling or self.prefetch
                            or self.pixel_lanes > 1 or self.activation_bytes > SHARED_AGU_BYTES):
            raise ValueError("shared_agu needs a single memory of up to 128 KiB, one pixel lane, "
                             "and neither pooling nor prefetch")
        if not self.single_memory and self.weight_bytes > (most := weight_room(self.array.cols)):
            raise ValueError(f"weight_bytes must be at most {most} with {self.array.cols} columns, "
                             f"as a window holds no more, not {self.weight_bytes}")
        if self.sdram_bits:
            if self.single_memory:
                raise ValueError("a single memory has the weights in it: sdram_bits must be 0, "
                                 f"not {self.sdram_bits}")
            if self.word_cycles > 8:
                raise ValueError(f"rows of {self.array.cols} weights are too long for bursts of an "
                                 f"SDRAM of {self.sdram_bits} bits: they may take 8 cycles")

    @property
    def products(self) -> int:
        """Products in a cycle."""
        return self.pixel_lanes * self.array.rows * self.array.cols

    @property
    def shape(self) -> str:
        """The shape of the array as text."""
        array = f"{self.array.rows} x {self.array.cols}"
        return array if self.pixel_lanes == 1 else f"{self.pixel_lanes} x ({array})"

    @property
    def word_bytes(self) -> int:
        """Bytes of a word of activations: what enters the line buffer in a cycle."""
        return 1 << ceil_log2(self.array.vector_bytes)

    @property
    def words(self) -> int:
        """Words of activations."""
        return self.activation_bytes // self.word_bytes

    @property
    def spaces(self) -> dict[str, int]:
        """Words of the memory that holds each kind of data."""
        kinds = {"activations": self.words, "weights": self.weight_bytes // self.array.cols,
                 "params": self.channels, "program": self.program_words}
        return dict.fromkeys(kinds, self.words) if self.single_memory else kinds

    @property
    def word_cycles(self) -> int:
        """Cycles for each word of weights, in the long run."""
        return burst_of(8 * self.array.cols, self.sdram_bits) if self.sdram_bits else 1

    @property
    def channel_words(self) -> int:
        """Words of its memory that the parameters of a channel take."""
        return -(-Shape.cast(ChannelParams).width // 32) if self.single_memory else 1

    @property
    def total_bits(self) -> int:
        """Bits of a sum that is requantised."""
        return max(self.sum_bits, TOTAL_BITS)

    @property
    def short_acc_range(self) -> tuple[int, int] | None:
        """The range of sums that are requantised in a cycle less than others, or None."""
        return short_acc_range(self.requantize, self.total_bits)

    @property
    def residual_depth(self):
        """Beats of a convolution whose residual operands may have been requested, and that are not
        stored yet: as many as keep the requantiser busy."""
        return 16 if self.rounding == "tflm" else 32

    @property
    def im2col(self) -> Im2colParams:
        """Parameters of the im2col unit, which takes one image a layer."""
        return Im2colParams(
            rows=self.array.rows, vector_bytes=self.array.vector_bytes, word_bytes=self.word_bytes,
            buffer_bytes=self.buffer_bytes, max_lines=self.max_lines, max_images=1,
            pixel_lanes=self.pixel_lanes, fir=self.array.fir_rows > 0, shared_agu=self.shared_agu,
            output_register=self.output_register)

    @property
    def flags(self) -> dict[Flag, bool]:
        """Whether the build has each unit of :class:`~rtl.accelerator.registers.Flag`."""
        return {Flag.POOLING: self.pooling, Flag.ADDITION: self.addition,
                Flag.FIR: self.array.fir_rows > 0, Flag.TFLM: self.rounding != "float32",
                Flag.FLOAT32: self.rounding != "tflm", Flag.FUSED: self.fused}

    def registers(self) -> tuple[dict[str, int], int]:
        """The registers that describe the build: the value of each of
        :data:`~rtl.accelerator.registers.PARAMETERS`, by name, and that of ``FLAGS``."""
        values = {name: int(getattr(self.array if name in ARRAY else self, name))
                  for name in PARAMETERS}
        return values, sum(has << flag for flag, has in self.flags.items())

    @classmethod
    def of_registers(cls, values: Mapping[str, int], flags: int) -> "AcceleratorParams":
        """The parameters of a device with these registers: ``values`` and ``flags`` as
        :meth:`registers` returns them.

        They are those of the build but for the kinds of its products, which no program depends on.

        Raises :exc:`ValueError` if there is no such build.
        """
        rounding = ROUNDINGS.get((bool(flags >> Flag.TFLM & 1), bool(flags >> Flag.FLOAT32 & 1)))
        if rounding is None:
            raise ValueError(f"flags must name a rounding, TFLM or FLOAT32, not {flags:#x}")
        array = ArrayParams(**{name: values[name] for name in ARRAY})
        kinds = {field.name: field.type for field in fields(cls)}
        return cls(array=array, rounding=rounding, pooling=bool(flags >> Flag.POOLING & 1),
                   addition=bool(flags >> Flag.ADDITION & 1),
                   fused=bool(flags >> Flag.FUSED & 1),
                   **{name: bool(values[name]) if kinds[name] in {bool, "bool"} else values[name]
                      for name in PARAMETERS if name not in ARRAY})


#: The parameters that are those of the array.
ARRAY = "rows", "cols", "fir_rows"
