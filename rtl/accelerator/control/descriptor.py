"""The layout of a layer's descriptor, from which both hardware and compiler derive."""

import enum

from amaranth.lib import data
from amaranth.utils import ceil_log2

from rtl.accelerator.dma.activation_reader import DIMS as FETCH_DIMS
from rtl.accelerator.dma.activation_writer import writer_config
from rtl.accelerator.dma.address_generator import loop_nest
from rtl.accelerator.dma.shared_address_generator import WORD, line_step, loop_flags, loop_nests
from rtl.accelerator.dma.weight_reader import sequence_config
from rtl.accelerator.params import COUNT_BITS
from rtl.layouts import OutputRange

__all__ = ["Kind", "descriptor_of", "descriptor_words", "layer_of", "reader_config"]

KIND_BITS = 4


class Kind(enum.IntEnum):
    """The operation of a descriptor."""

    END = 0    #: The network is done.
    CONV = 1   #: A convolution or a fully connected layer.
    POOL = 2   #: Means or maxima of windows; also copies and fills.
    ADD = 3    #: The sum of two tensors.
    TABLE = 4  #: Loads what sums need that are fused into the next layer, a CONV.


def reader_config(params):
    """Layout of the loop nest over the words that a layer reads."""
    return loop_nest(FETCH_DIMS, ceil_log2(params.words), COUNT_BITS)


def descriptor_of(params):
    """Layout of a descriptor in a build of :class:`AcceleratorParams`.

    With ``shared_agu`` it begins with the words of each of :func:`loop_nests`: ``step`` is the
    distance from the last address of all loops within to the next one. In the first word it is the
    base, and ``used`` tells whether there are addresses at all. The second words of tiles are
    ``lines``.
    """
    if not params.shared_agu:
        return layer_of(params)
    walks = {}
    for name, nest in loop_nests(params).items():
        walks[name] = data.ArrayLayout(WORD, nest.SECOND if nest.double else nest.words)
        if nest.double:
            walks["lines"] = data.ArrayLayout(line_step(params.im2col), nest.SECOND)
    return data.StructLayout({"walks": data.StructLayout(walks), **layer_of(params).members})


def layer_of(params):
    """Layout of a layer's configuration of the units."""
    words = {"several": loop_flags(params)} if params.shared_agu else {  # loops that iterate
        "fetch": reader_config(params),
        "weights": sequence_config(ceil_log2(params.spaces["weights"]), COUNT_BITS),
        "params": sequence_config(ceil_log2(params.spaces["params"]), COUNT_BITS),
    }
    return data.StructLayout({
        "kind": KIND_BITS,
        "maximum": 1,                     # POOL: maxima, not sums
        **({"float32": 1} if params.rounding == "both" else {}),  # round by float32
        "sum": 1,                         # CONV: add the words that results replace
        "turned": 1,                      # CONV: look results up in the table, not those words
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
