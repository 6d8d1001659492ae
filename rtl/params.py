"""Parameters of the systolic array."""

from dataclasses import dataclass

from rtl.mac import KINDS
from rtl.validate import integer, pair

__all__ = ["ArrayParams", "COLS_PER_STAGE", "MAX_PIXEL_LANES", "Products", "products_for"]

#: Kinds of products in order of preference, and how many there are of each, if not any number.
Products = tuple[tuple[str, int | None], ...]

#: Neighbouring columns that share a skew stage, and may share one DSP.
COLS_PER_STAGE = 2

#: Arrays side by side, each with its own lines of pixels.
MAX_PIXEL_LANES = 4


@dataclass(frozen=True, kw_only=True)
class ArrayParams:
    """Shape of a systolic array, and what its products are made of.

    Parameters
    ----------
    rows, cols : :class:`int`
        Taps and filters of one tile; 1 to 32 each.
    fir_rows : :class:`int`
        Rows, from the top, that can form a depthwise FIR down each column; 0 leaves that out.
    products : tuple of (kind, count)
        Kinds of :data:`rtl.mac.KINDS` in order of preference, each with the number of products
        available, or :data:`None` for any number.

    Raises
    ------
    :exc:`TypeError`
        If ``rows``, ``cols``, ``fir_rows`` or a count is not an integer, or ``products`` not a
        sequence of pairs.
    :exc:`ValueError`
        If a parameter is out of range, or the products do not fill the array.
    """

    rows: int
    cols: int
    fir_rows: int = 0
    products: Products = (("generic", None),)

    def __post_init__(self) -> None:
        for name, low, high in (("rows", 1, 32), ("cols", 1, 32), ("fir_rows", 0, self.rows)):
            object.__setattr__(self, name, integer(name, getattr(self, name), low, high))
        if not isinstance(self.products, (list, tuple)):
            raise TypeError(f"products must be pairs of a kind and a count, not {self.products!r}")
        products = tuple(pair("each of products", each) for each in self.products)
        for kind, count in products:
            if kind not in KINDS:
                raise ValueError(f"products must be of the kinds {', '.join(KINDS)}, not {kind!r}")
            if count is not None:
                integer(f"the number of {kind} products", count, 0, self.rows * self.cols)
        object.__setattr__(self, "products", products)
        object.__setattr__(self, "_kinds", self._place())

    @property
    def stages(self) -> int:
        """Skew stages across the columns: the number of pairs of columns, rounded up."""
        return -(-self.cols // COLS_PER_STAGE)

    @property
    def vector_bytes(self) -> int:
        """Bytes of an input vector: a tap for each row or, for the FIR, a channel for each column.
        """
        return max(self.rows, self.cols) if self.fir_rows else self.rows

    def stage_cols(self, stage: int) -> int:
        """Columns in ``stage``: 2, or 1 in the last one of an odd number."""
        return min(COLS_PER_STAGE, self.cols - COLS_PER_STAGE * stage)

    def kind(self, row: int, stage: int) -> str:
        """Name of the kind of product at ``row`` and ``stage``."""
        return self._kinds[row, stage]

    @property
    def product_latency(self) -> int:
        """Cycles from activation to product: the longest of the kinds in use."""
        return max(KINDS[kind].min_latency for kind in self._kinds.values())

    def sum_width(self, row: int) -> int:
        """Bits of the signed sum of the products of rows 0 to ``row``, exact for all int8."""
        return ((row + 1) << 14).bit_length() + 1

    def _place(self) -> dict[tuple[int, int], str]:
        # From the bottom up: kinds whose columns share an activation, which a FIR row cannot use,
        # go to the rows that can use them.
        cells = [(row, stage) for row in reversed(range(self.rows)) for stage in range(self.stages)]
        kinds = {}
        for kind, count in self.products:
            for row, stage in cells:
                cols = self.stage_cols(stage)
                fits = (KINDS[kind].min_cols <= cols <= KINDS[kind].max_cols
                        and not (KINDS[kind].shares_x and row < self.fir_rows))
                if (row, stage) in kinds or not fits or (count is not None and count < cols):
                    continue
                kinds[row, stage] = kind
                count = None if count is None else count - cols
        if len(kinds) < len(cells):
            row, stage = next(cell for cell in cells if cell not in kinds)
            raise ValueError(f"products must fill {self.rows} x {self.cols} with {self.fir_rows} "
                             f"FIR rows; none is left for row {row}, column "
                             f"{COLS_PER_STAGE * stage}")
        return kinds


def products_for(rows: int, cols: int, fir_rows: int, family: str, multipliers: int) -> Products:
    """``products`` of :class:`ArrayParams`, as many of them as possible in ``multipliers`` DSPs."""
    if family == "generic":
        return (("generic", None),)
    if family == "ice40":
        return (("mac16", min(2 * multipliers, rows * cols)), ("lut", None))
    if multipliers >= rows * cols:
        return (("dsp", None),)
    # Two products of one DSP share an activation, which those of FIR rows do not.
    packed = min(multipliers, (rows - fir_rows) * (cols // 2))
    return (("dsp2", 2 * packed), ("dsp", multipliers - packed), ("lut", None))
