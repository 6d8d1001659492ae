"""What a layer's descriptor says: the one declaration that hardware and compiler follow."""

import enum

from amaranth.lib import data
from amaranth.utils import ceil_log2

from rtl.accelerator.dma.activation_reader import DIMS as FETCH_DIMS
from rtl.accelerator.dma.activation_writer import writer_config
from rtl.accelerator.dma.address_generator import loop_nest
from rtl.accelerator.dma.shared_address_generator import WORD, line_step_of, loop_nests, several_of
from rtl.accelerator.dma.weight_reader import sequence_of
from rtl.accelerator.params import COUNT_BITS
from rtl.layouts import OutputRange

__all__ = ["Kind", "descriptor_of", "descriptor_words", "fetch_of", "layer_of"]

KIND_BITS = 4


class Kind(enum.IntEnum):
    """What a descriptor asks for."""

    END = 0    #: The network is done.
    CONV = 1   #: A convolution or a fully connected layer.
    POOL = 2   #: Means or maxima of windows; also copies and fills.
    ADD = 3    #: The sum of two tensors.
    TABLE = 4  #: What the sums need that the next layer, a CONV, makes of its results.


def fetch_of(params):
    """Loops over the words that a layer reads."""
    return loop_nest(FETCH_DIMS, ceil_log2(params.words), COUNT_BITS)


def descriptor_of(params):
    """Layout of a descriptor in a build of :class:`AcceleratorParams`.

    With ``shared_agu`` it begins with the words of each of :func:`loop_nests`: ``step`` is the
    distance from the last address of all loops within to the next one; of the first one it is the
    base, and ``used`` whether to walk at all. Of tiles, ``lines`` are the second words.
    """
    if not params.shared_agu:
        return layer_of(params)
    walks = {}
    for name, walk in loop_nests(params).items():
        walks[name] = data.ArrayLayout(WORD, walk.SECOND if walk.double else walk.words)
        if walk.double:
            walks["lines"] = data.ArrayLayout(line_step_of(params.im2col), walk.SECOND)
    return data.StructLayout({"walks": data.StructLayout(walks), **layer_of(params).members})


def layer_of(params):
    """Layout of what the units are told of a layer."""
    words = {"several": several_of(params)} if params.shared_agu else {  # loops that are walked
        "fetch": fetch_of(params),
        "weights": sequence_of(ceil_log2(params.spaces["weights"]), COUNT_BITS),
        "params": sequence_of(ceil_log2(params.spaces["params"]), COUNT_BITS),
    }
    return data.StructLayout({
        "kind": KIND_BITS,
        "maximum": 1,                     # POOL: maxima, not sums
        **({"float32": 1} if params.rounding == "both" else {}),  # round by float32
        "sum": 1,                         # CONV: add what lies where results go
        "turned": 1,                      # CONV: look results up in the table, not that
        **({"narrow": 1} if params.short_acc_range else {}),  # CONV: all sums lie in that range
        "range": OutputRange,
        **words,
        "store": writer_config(ceil_log2(params.activation_bytes), COUNT_BITS, params.drain_lanes,
                          params.pixel_lanes, params.shared_agu),
        "conv": params.im2col.config,     # CONV
    })


def descriptor_words(params):
    """Words of 32 bits that a descriptor takes."""
    return -(-descriptor_of(params).size // 32)
