from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["memory_port"]


def memory_port(address_bits, width, parts=0):
    """Signature of a memory's port, as its client sees it.

    ``requests`` (``address``, ``mask``, ``data``) are served in order. One with ``mask`` 0 reads:
    its word comes on ``words`` some cycles later, in the order of the requests. The client cannot
    stall it, so it must not request more than it has room for. Any other request writes those of
    the ``parts`` of a word whose bits are set, and has no answer. With ``parts`` 0 the client only
    reads.

    A read sees what any client wrote in earlier cycles. Clients make no assumption on the latency:
    it may be one cycle or, in a memory that transfers bursts, many.
    """
    return wiring.Signature({
        "requests": Out(stream.Signature(data.StructLayout({
            "address": address_bits, "mask": parts, "data": width if parts else 0}))),
        "words": In(stream.Signature(width, always_ready=True)),
    })
