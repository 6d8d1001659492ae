# amaranth: UnusedElaboratable=no
"""Constructors refuse what cannot work, by the name of the parameter.

Every class of ``rtl`` with parameters is found by itself, and has to stand in the table below with
a valid value for each of them: from these derive the invalid ones.
"""

import importlib
import inspect
import math
import pkgutil
import re

import numpy as np
import pytest
from amaranth import *

import rtl
from rtl.accelerator import Accelerator, AcceleratorParams, SdramAccelerator
from rtl.accelerator.build_units import Units
from rtl.accelerator.control.descriptor_loader import DescriptorLoader
from rtl.accelerator.control.host_port import HostPort
from rtl.accelerator.control.sequencer import Sequencer
from rtl.accelerator.dma.activation_reader import ActivationReader
from rtl.accelerator.dma.activation_writer import ActivationWriter
from rtl.accelerator.dma.address_generator import AddressGenerator
from rtl.accelerator.dma.shared_address_generator import (
    AddressedReader,
    LoopNest,
    SharedAddressGenerator,
)
from rtl.accelerator.dma.weight_reader import ParamReader, SequenceReader
from rtl.accelerator.memories import SeparateMemories, SingleMemory
from rtl.accelerator.units.add import Add
from rtl.accelerator.units.pool import Pool
from rtl.accelerator.units.residual import Residual
from rtl.array import Cell, Delay, SystolicArray
from rtl.board_core import BoardCore
from rtl.boot import Boot
from rtl.bus import BusAccelerator
from rtl.bus.access import Access
from rtl.bus.port import BusPort
from rtl.conv2d import Conv2d
from rtl.gemm import Gemm
from rtl.im2col import ConvShape, Im2col, Im2colParams
from rtl.im2col.line_buffer import LineBuffer
from rtl.im2col.lines import LineGenerator
from rtl.im2col.tiles import TileGenerator
from rtl.im2col.vectors import VectorGenerator
from rtl.layouts import bytes_of
from rtl.link import UartRx, UartTx
from rtl.mac import KINDS, Product
from rtl.memory import Arbiter, BlockRam, DualPortMemory, Reader, SinglePortMemory
from rtl.memory.sdram import Sdram, SdramChip, chip_of
from rtl.params import ArrayParams
from rtl.postprocess import Accumulators, Requantizer
from rtl.postprocess.float32 import FromFloat
from rtl.postprocess.multiply import Multiply
from rtl.postprocess.pipelined import PipelinedLane
from rtl.postprocess.rounding import Rounding
from rtl.postprocess.serial import SerialLane
from rtl.stream.skid_buffer import SkidBuffer

ARRAY = ArrayParams(rows=4, cols=4, fir_rows=3)
IM2COL = Im2colParams(rows=4)
PARAMS = AcceleratorParams(array=ARRAY)
SINGLE = AcceleratorParams(array=ARRAY, single_memory=True)
SHARED = AcceleratorParams(array=ARRAY, single_memory=True, shared_agu=True, pooling=False,
                           prefetch=False)
SDRAM = AcceleratorParams(array=ARRAY, sdram_bits=16)

WORDS = {"address_bits": 8, "word_bytes": 4}
SLOTS = {"slots": 4, "direct": False}
CORE = {"depth": 64, "drain_lanes": 2, "pixel_lanes": 1, "requantize": 1, "rounding": "tflm",
        "output_register": False}
CHIP = dict.fromkeys(("rcd", "rp", "ras", "rc", "rfc", "rrd", "wr", "mrd"), 20.0)

#: Valid arguments of each class: of every parameter, and floats where any number will do.
CASES = {
    Accelerator: {"params": PARAMS},
    AcceleratorParams: {
        "array": ARRAY, **CORE, "buffer_bytes": 4096, "max_lines": 64, "pooling": True,
        "addition": True, "fused": True, "activation_bytes": 4096, "weight_bytes": 4096,
        "sdram_bits": 0, "channels": 64, "program_words": 256, "single_memory": False,
        "prefetch": True, "shared_agu": False, "sum_bits": 32, "stall_timeout": 1 << 16,
        "layer_timeout": 1 << 20},
    Access: {"params": PARAMS},
    Accumulators: {"cols": 4, "depth": 16, "sums": bytes_of(4), "drain_lanes": 2, "pixel_lanes": 1,
                   "output_register": False, "width": 32},
    ActivationReader: {**WORDS, **SLOTS, "count_bits": 8},
    ActivationWriter: {**WORDS, "drain_lanes": 2, "cols": 4, "count_bits": 8, "pixel_lanes": 1,
                       "shared_agu": False, "residual_depth": 8, "reader": {"slots": 4}},
    Add: {"word_bytes": 4, "drain_lanes": 2, "cols": 4, "double_buffered": True,
          "output_register": False},
    AddressGenerator: {"dims": 4, "address_bits": 8, "count_bits": 8, "tail": (1, 3)},
    AddressedReader: {**WORDS, **SLOTS, "tensor": True},
    Arbiter: {"clients": {"a": 0, "b": 4}, "address_bits": 8, "width": 32, "latency": 2},
    ArrayParams: {"rows": 4, "cols": 4, "fir_rows": 3, "products": (("lut", None),)},
    BlockRam: {"width": 8, "depth": 16, "output_register": False},
    BoardCore: {"params": SDRAM, "link": "uart", "divisor": 8, "chip": chip_of(16), "mhz": 90.0,
                "boot": 4096},
    Boot: {"offset": 4096, "mhz": 12.0},
    BusAccelerator: {"params": PARAMS, "bus": "axi"},
    BusPort: {"params": PARAMS, "bus": "axi"},
    Cell: {"params": ARRAY, "row": 1, "stage": 1},
    Conv2d: {"array": ARRAY, **CORE, "counter": True, "buffer_bytes": 4096, "word_bytes": 8,
             "max_lines": 64, "max_images": 2},
    ConvShape: {"height": 8, "width": 8, "channels": 4, "kernel": (3, 3), "stride": (1, 1),
                "dilation": (1, 1), "padding": ((1, 1), (1, 1)), "groups": 2, "images": 1,
                "fill": 1},
    Delay: {"shape": signed(8), "cycles": 2, "reset_less": True},
    DescriptorLoader: {"words": 20, "depth": 256, "kept": 18},
    DualPortMemory: {"width": 32, "depth": 64, "parts": 4, "output_register": True,
                     "input_register": False},
    FromFloat: {"varies": False},
    Gemm: {"array": ARRAY, **CORE, "sum_bits": 32},
    HostPort: {"params": PARAMS, "version": "0.1.0"},
    Im2col: {"params": IM2COL},
    Im2colParams: {"rows": 4, "vector_bytes": 8, "word_bytes": 8, "buffer_bytes": 4096,
                   "max_lines": 64, "max_images": 2, "pixel_lanes": 1, "fir": True,
                   "shared_agu": False, "output_register": True},
    LineBuffer: {"params": IM2COL},
    LineGenerator: {"params": IM2COL, "present": range(10)},
    LoopNest: {"first": 3, "dims": 4, "address_bits": 8, "tail": (1, 3), "double": False},
    Multiply: {"drop": 31},
    ParamReader: {"drain_lanes": 2, "width": 32, "direct": True},
    PipelinedLane: {"rounding": "tflm", "varies": False},
    Pool: {"word_bytes": 4, "drain_lanes": 2},
    **{kind: {"cols": 2, "latency": 5} for kind in (*KINDS.values(), Product)},
    Reader: {"address_bits": 8, "width": 32, **SLOTS, "tag": 1},
    Requantizer: {"drain_lanes": 2, "cycles": 3, "rounding": "tflm", "twice": True, "bits": 29},
    Residual: {"word_bytes": 4, "drain_lanes": 2, "depth": 8},
    Rounding: {"varies": False},
    Sdram: {"chip": chip_of(16), "width": 32, "depth": 1024, "mhz": 90.0},
    SdramAccelerator: {"params": SDRAM, "chip": chip_of(16), "mhz": 90.0},
    SdramChip: {"name": "any", "data_bits": 16, "column_bits": 9, "row_bits": 13, "bank_bits": 2,
                "cas": 3, "period": 7.0, "start": 2e5, "refresh": 7812.5, **CHIP},
    SeparateMemories: {"params": PARAMS},
    SequenceReader: {"width": 32, "depth": 64, **SLOTS, "count_bits": 8},
    Sequencer: {"params": PARAMS},
    SerialLane: {"cycles": 3, "bits": 32, "varies": False},
    SharedAddressGenerator: {"params": SHARED},
    SingleMemory: {"params": SINGLE},
    SinglePortMemory: {"depth": 1024},
    SkidBuffer: {"payload": signed(8), "latency": 1},
    SystolicArray: {"params": ARRAY, "tag_shape": range(3), "lead": 1, "min_tile": 3},
    TileGenerator: {"params": IM2COL},
    UartRx: {"divisor": 8},
    UartTx: {"divisor": 8},
    Units: {"params": PARAMS},
    VectorGenerator: {"params": IM2COL},
}

#: Integers that may be 0, and not only above it.
ZERO = {(ActivationReader, "slots"), (ActivationWriter, "residual_depth"),
        (AddressedReader, "slots"), (Arbiter, "address_bits"), (ArrayParams, "fir_rows"),
        (BoardCore, "boot"), (Boot, "offset"), (Cell, "row"), (Cell, "stage"),
        (Conv2d, "requantize"), (Conv2d, "word_bytes"), (ConvShape, "fill"), (Delay, "cycles"),
        (Gemm, "requantize"), (Im2colParams, "vector_bytes"), (Im2colParams, "word_bytes"),
        (LoopNest, "first"), (Multiply, "drop"), (Reader, "address_bits"), (Reader, "slots"),
        (Reader, "tag"), (AcceleratorParams, "sdram_bits"), (SequenceReader, "slots"),
        (SkidBuffer, "latency"), (SystolicArray, "lead")}

#: Parameters that may be None.
NONE = {(AddressGenerator, "tail"), (LoopNest, "tail"), (BoardCore, "chip"), (BoardCore, "boot"),
        (SdramAccelerator, "chip"),
        *((kind, name) for kind in (*KINDS.values(), Product) for name in ("cols", "latency"))}

#: Strings of any content.
TEXT = {(SdramChip, "name")}

#: What others have to be where one is 0.
WITH_ZERO = {(ActivationWriter, "residual_depth"): {"reader": None}}


def parameters(cls):
    return list(inspect.signature(cls).parameters)


def parameterised():
    """Classes of ``rtl`` that take arguments."""
    for _, name, _ in pkgutil.walk_packages(rtl.__path__, "rtl."):
        for cls in vars(importlib.import_module(name)).values():
            if inspect.isclass(cls) and cls.__module__ == name:
                owner = next(each for each in cls.__mro__ if "__init__" in vars(each))
                if owner.__module__.startswith("rtl.") and parameters(cls):
                    yield cls


def of_kind(*kinds):
    """Pairs of a class and one of its parameters whose valid value is of one of ``kinds``."""
    pairs = [(cls, name) for cls, arguments in CASES.items() for name, value in arguments.items()
             if not kinds or type(value) in kinds]
    return pytest.mark.parametrize("cls, name", pairs, ids=[
        f"{cls.__name__}-{name}" for cls, name in pairs])


def refuses(error, cls, name, *values, **others):
    for value in values:
        message = rf"^{name} must (be .*, not|divide .*, not be) {re.escape(str(value))}"
        if error is TypeError or isinstance(value, str):
            message = rf"^{name} must be .*, not {re.escape(repr(value))}"
        with pytest.raises(error, match=message):
            cls(**CASES[cls] | {name: value} | others)


def test_the_table_has_every_parameter():
    assert {cls: parameters(cls) for cls in parameterised()} == {
        cls: list(arguments) for cls, arguments in CASES.items()}


@pytest.mark.parametrize("cls", CASES, ids=lambda cls: cls.__name__)
def test_accepts(cls):
    cls(**CASES[cls])


@of_kind()
def test_refuses_what_is_anything_else(cls, name):
    refuses(TypeError, cls, name, object())
    if (cls, name) in NONE:
        cls(**CASES[cls] | {name: None})
    else:
        refuses(TypeError, cls, name, None)


@of_kind(int)
def test_refuses_integers(cls, name):
    value = CASES[cls][name]
    refuses(TypeError, cls, name, float(value), str(value), True, False)
    refuses(ValueError, cls, name, -1, 1 << 40)
    if (cls, name) in ZERO:
        cls(**CASES[cls] | {name: 0} | WITH_ZERO.get((cls, name), {}))
    else:
        refuses(ValueError, cls, name, 0)


@of_kind(int)
def test_keeps_plain_integers(cls, name):
    """NumPy's integers are accepted, but Amaranth takes only Python's."""
    built = cls(**CASES[cls] | {name: np.int64(CASES[cls][name])})
    assert not [key for key, value in vars(built).items() if isinstance(value, np.generic)]


@of_kind(float)
def test_refuses_numbers(cls, name):
    refuses(TypeError, cls, name, str(CASES[cls][name]), True)
    refuses(ValueError, cls, name, -1.0, 0, math.nan, math.inf)


@of_kind(bool)
def test_refuses_booleans(cls, name):
    refuses(TypeError, cls, name, 0, 1, 1.0, "yes", np.True_)


@of_kind(str)
def test_refuses_strings(cls, name):
    refuses(TypeError, cls, name, 3, b"tflm")
    if (cls, name) not in TEXT:
        refuses(ValueError, cls, name, "bogus", "")


@of_kind(AcceleratorParams, ArrayParams, Im2colParams, SdramChip)
def test_refuses_other_parameters(cls, name):
    refuses(TypeError, cls, name, "x", {"rows": 4}, type(CASES[cls][name]))


@pytest.mark.parametrize("cls, changes, error, message", [
    (Im2col, {"params": "x"}, TypeError, "params must be Im2colParams, not 'x'"),
    (SystolicArray, {"params": "x"}, TypeError, "params must be ArrayParams, not 'x'"),
    (SkidBuffer, {"latency": 5}, ValueError, "latency must be one of 0, 1, not 5"),
    (Pool, {"drain_lanes": 3}, ValueError,
     "drain_lanes must divide the 4 bytes of a word, not be 3"),
    (Pool, {"word_bytes": 6}, ValueError, "word_bytes must be a power of two, not 6"),
    (Add, {"word_bytes": 8, "drain_lanes": 3}, ValueError,
     "drain_lanes must divide the 8 bytes of a word, not be 3"),
    (Residual, {"depth": 0}, ValueError, "depth must be between 1 and 1024, not 0"),
    (AddressGenerator, {"dims": 0}, ValueError, "dims must be between 1 and 16, not 0"),
    (AddressGenerator, {"tail": (5, 9)}, ValueError,
     "the outer loop of tail must be between 1 and 3, not 9"),
    (AddressGenerator, {"tail": (3, 1)}, ValueError,
     "the inner loop of tail must be between 0 and 0, not 3"),
    (AddressGenerator, {"tail": (1, 2, 3)}, ValueError, "tail must be a pair, not (1, 2, 3)"),
    (AddressGenerator, {"tail": (1, 3.0)}, TypeError,
     "the outer loop of tail must be an integer, not 3.0"),
    (SequenceReader, {"depth": 0}, ValueError, "depth must be between 2 and 1048576, not 0"),
    (ParamReader, {"drain_lanes": 0}, ValueError, "drain_lanes must be between 1 and 32, not 0"),
    (Reader, {"slots": 3}, ValueError, "slots must be 0 or a power of two, not 3"),
    (Reader, {"slots": -1}, ValueError, "slots must be between 0 and 1024, not -1"),
    (DualPortMemory, {"width": 33, "parts": 2}, ValueError,
     "parts must divide the 33 bits of a word, not be 2"),
    (DualPortMemory, {"depth": 0}, ValueError, "depth must be between 1 and 1048576, not 0"),
    (SinglePortMemory, {"depth": 3}, ValueError, "depth must be a power of two, not 3"),
    (ActivationWriter, {"drain_lanes": 3}, ValueError,
     "drain_lanes must divide the 4 bytes of a word, not be 3"),
    (ActivationWriter, {"reader": None}, TypeError,
     "reader must be a dict of options, with residual_depth, not None"),
    (ActivationWriter, {"residual_depth": 0}, ValueError,
     "reader must be None without residual_depth, not {'slots': 4}"),
    (Multiply, {"drop": 7}, ValueError, "drop must be one of 0, 31, not 7"),
    (PipelinedLane, {"rounding": "bogus"}, ValueError,
     "rounding must be one of tflm, float32, both, not 'bogus'"),
    (DescriptorLoader, {"words": 0}, ValueError, "words must be between 1 and 1024, not 0"),
    (DescriptorLoader, {"kept": 21}, ValueError, "kept must be between 1 and 20, not 21"),
    (ConvShape, {"height": 4.0}, TypeError, "height must be an integer, not 4.0"),
    (ConvShape, {"kernel": (3.0, 3)}, TypeError, "kernel height must be an integer, not 3.0"),
    (ConvShape, {"padding": (1, 1)}, TypeError, "padding along the height must be a pair, not 1"),
    (AcceleratorParams, {"drain_lanes": 2.0}, TypeError, "drain_lanes must be an integer, not 2.0"),
    (Im2colParams, {"max_images": 0}, ValueError, "max_images must be between 1 and 4096, not 0"),
    (ArrayParams, {"products": "lut"}, TypeError,
     "products must be pairs of a kind and a count, not 'lut'"),
    (ArrayParams, {"products": (("lut", 2.0),)}, TypeError,
     "the number of lut products must be an integer, not 2.0"),
    (Arbiter, {"clients": {}}, ValueError, "clients must name at least one, not {}"),
    (Arbiter, {"clients": {"a": 5}}, ValueError, "clients['a'] must divide the 32 bits, not be 5"),
    (HostPort, {"version": "0.1.256"}, ValueError,
     "version must be three numbers below 256, such as 0.1.0, not '0.1.256'"),
    (Sdram, {"mhz": 150}, ValueError, "mhz must be between 10 and 143 for this chip, not 150"),
    (BoardCore, {"chip": 3}, TypeError, "chip must be an SdramChip, not 3"),
    (SingleMemory, {"params": PARAMS}, ValueError, f"params must have single_memory, not {PARAMS}"),
    (SharedAddressGenerator, {"params": SINGLE}, ValueError,
     f"params must have shared_agu, not {SINGLE}"),
])
def test_messages(cls, changes, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        cls(**CASES[cls] | changes)
