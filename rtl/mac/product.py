"""The base of all kinds of products."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.family import family_of
from rtl.layouts import bytes_of
from rtl.validate import integer

__all__ = ["Product"]


class Product(wiring.Component):
    """Products of int8 activations and stationary int8 weights, ``cols`` of them a cycle.

    The products are those of neighbouring columns in one row of a weight-stationary array. An
    activation and the weight in use are registered at the same clock edge: in a cycle with
    ``swap`` high, ``w`` become the weights in use, and the ``x`` of that very cycle is already
    multiplied by them.

    The product of the ``x`` of cycle ``t`` is on ``p`` in cycle ``t + latency``; throughput is one
    product for each column and cycle, without a handshake. Nothing on the data path has a reset:
    until the first ``swap`` the weight in use is undefined.

    This class is both the contract and, where no vendor primitive may be used, the circuit. A
    subclass sets the class attributes and implements :meth:`multiply`.

    Parameters
    ----------
    cols : :class:`int`
        Products side by side, ``min_cols`` to ``max_cols``.
    latency : :class:`int`
        Cycles from ``x`` to ``p``, at least ``min_latency``, which is the default. A longer one
        takes registers of the primitive first, then registers in fabric.

    Attributes
    ----------
    min_latency, min_cols, max_cols : :class:`int`
        Limits of the parameters.
    shares_x : :class:`bool`
        Whether all columns take the activation ``x[0]``; the others are ignored then.
    has_sum : :class:`bool`
        Whether the primitive has a register for one cycle more than ``min_latency``.
    family : :class:`str` or :data:`None`
        The only family with the primitive, or :data:`None` for any family.

    Members
    -------
    x : ``In(ArrayLayout(signed(8), cols))``
        Activations.
    w : ``In(ArrayLayout(signed(8), cols))``
        The next weights.
    swap : ``In(1)``
        Makes the next weights the ones in use.
    p : ``Out(ArrayLayout(signed(16), cols))``
        Products.

    Raises
    ------
    :exc:`TypeError`
        If a parameter is not an integer.
    :exc:`ValueError`
        If a parameter is out of range.
    :exc:`NotImplementedError`
        On elaboration for a family other than ``family``.
    """

    min_latency = 2
    min_cols = 1
    max_cols = 2
    shares_x = False
    has_sum = False
    family = None

    def __init__(self, *, cols=None, latency=None):
        self.cols = integer("cols", self.max_cols if cols is None else cols,
                             self.min_cols, self.max_cols)
        self.latency = integer("latency", self.min_latency if latency is None else latency,
                               self.min_latency, 16)
        super().__init__({
            "x": In(bytes_of(self.cols)),
            "w": In(bytes_of(self.cols)),
            "swap": In(1),
            "p": Out(data.ArrayLayout(signed(16), self.cols)),
        })

    def multiply(self, m, family):
        """Build the products out of primitives of ``family``.

        Returns a list of signed values, one for each column, and their latency: at most
        ``self.latency``.
        """
        x, w = self.operands(m)
        return [a * b for a, b in zip(x, w, strict=True)], 1

    def operands(self, m):
        """Activations and weights in use, each in a register: two lists with one for each column.
        """
        x = [Signal(signed(8), name=f"x_{lane}", reset_less=True) for lane in range(self.cols)]
        w = [Signal(signed(8), name=f"w_{lane}", reset_less=True) for lane in range(self.cols)]
        for lane in range(self.cols):
            m.d.sync += x[lane].eq(self.x[0 if self.shares_x else lane])
            with m.If(self.swap):
                m.d.sync += w[lane].eq(self.w[lane])
        return x, w

    def elaborate(self, platform):
        family = family_of(platform)
        if self.family not in (None, family) and family != "generic":
            raise NotImplementedError(
                f"{type(self).__name__} needs {self.family} primitives, which {family} has not")

        m = Module()
        if family == "generic":
            products, latency = Product.multiply(self, m, family)
        else:
            products, latency = self.multiply(m, family)
        for stage in range(latency, self.latency):
            late = [Signal(signed(16), name=f"p_{stage}_{lane}", reset_less=True)
                    for lane in range(self.cols)]
            m.d.sync += [to.eq(value) for to, value in zip(late, products, strict=True)]
            products = late
        m.d.comb += [self.p[lane].eq(products[lane]) for lane in range(self.cols)]
        return m
