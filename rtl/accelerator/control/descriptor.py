"""What a layer's descriptor says: the one declaration that hardware and compiler follow."""

import enum

from amaranth.lib import data
from amaranth.utils import ceil_log2

from rtl.accelerator.dma.activation_reader import DIMS as FETCH_DIMS
from rtl.accelerator.dma.activation_writer import store_of
from rtl.accelerator.dma.address_generator import loops_of
from rtl.accelerator.dma.shared_address_generator import WORD, line_step_of, several_of, walks_of
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
    return loops_of(FETCH_DIMS, ceil_log2(params.words), COUNT_BITS)


def descriptor_of(params):
    """Layout of a descriptor in a build of :class:`AcceleratorParams`.

    With ``serial`` it begins with the words of each of :func:`walks_of`: ``step`` is the distance
    from the last address of all loops within to the next one; of the first one it is the base, and
    ``used`` whether to walk at all. Of tiles, ``lines`` are the second words.
    """
    if not params.serial:
        return layer_of(params)
    walks = {}
    for name, walk in walks_of(params).items():
        walks[name] = data.ArrayLayout(WORD, walk.SECOND if walk.double else walk.words)
        if walk.double:
            walks["lines"] = data.ArrayLayout(line_step_of(params.im2col), walk.SECOND)
    return data.StructLayout({"walks": data.StructLayout(walks), **layer_of(params).members})


def layer_of(params):
    """Layout of what the units are told of a layer."""
    words = {"several": several_of(params)} if params.serial else {  # loops that are walked
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
        **({"narrow": 1} if params.narrow_range else {}),  # CONV: all sums lie in that range
        "range": OutputRange,
        **words,
        "store": store_of(ceil_log2(params.activation_bytes), COUNT_BITS, params.lanes,
                          params.pixel_lanes, params.serial),
        "conv": params.im2col.config,     # CONV
    })


def descriptor_words(params):
    """Words of 32 bits that a descriptor takes."""
    return -(-descriptor_of(params).size // 32)
