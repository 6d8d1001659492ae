"""When weights and input, which memories give at a rate of their own, have come."""

from systolith.compiler.cost.machine import Machine

__all__ = ["LineArrivals", "WeightArrivals"]

#: From the last vector of a band to room for a word in place of the lines that it frees, besides
#: the latency of the line buffer, which is read ahead.
FREE = 3


class WeightArrivals:
    """When the weights of the next tile have come from a memory slower than the array, before
    which ``weight_rows_ahead`` rows can wait.

    ``first`` is the cycle of a layer's first row, ``ahead`` how many cycles before its start its
    weights may come.
    """

    def __init__(self, machine: Machine, *, first: int, ahead: int) -> None:
        self._tile = machine.array.rows * machine.weight_row_cycles
        self._waiting = machine.weight_rows_ahead * machine.weight_row_cycles
        self._come = first + 1 + self._tile - min(ahead - machine.weight_latency, self._waiting)

    @property
    def cycle(self) -> int:
        """When those of the next tile have come."""
        return round(self._come)

    def after(self, tiles: int) -> int:
        """When those of so many tiles more have come."""
        return round(self._come + tiles * self._tile)

    def take(self, cycle: int, tiles: int = 1) -> None:
        """The last of so many tiles goes to work in ``cycle``, and the next one's weights come."""
        self._come = max(self._come + tiles * self._tile, cycle + self._tile - self._waiting)


class LineArrivals:
    """When each of the ``lines`` of the input, of ``line_words`` words, has come, and its vectors
    can leave the line buffer."""

    def __init__(self, machine: Machine, *, lines: int, line_words: int) -> None:
        self._lines, self.line_words = lines, line_words
        self._room = machine.im2col.words
        self._latency = machine.im2col_latency
        self._free = FREE - 1 - machine.output_register
        self._came: list[int] = []   # when the last word of each line did
        self._freed: list[int] = []  # when the room of each line was free again
        self._next = machine.input_latency
        # Cycles that a word takes; and from when on it takes more, as its memory has others to
        # serve.
        self._cost = self._shared_cost = machine.input_word_cycles
        self._shared_from: int | None = None

    @property
    def shared(self) -> bool:
        """Whether :meth:`share` was called."""
        return self._shared_from is not None

    def share(self, cycle: int, factor: float) -> None:
        """From ``cycle`` on words come slower by that ``factor``."""
        self._shared_from = cycle
        self._shared_cost *= factor

    def cycle(self, line: int) -> int:
        """That from which vectors of a line can enter the array; 0 for padding."""
        if not 0 <= line < self._lines:
            return 0
        self._take(line)
        return self._came[line] + self._latency

    def cycle_of_last(self, line: int) -> int:
        """The same for ``line``, or the image's last line if that is beyond it."""
        return self.cycle(min(line, self._lines - 1))

    def free(self, keep_from: int, cycle: int) -> None:
        """A band whose last vector left in ``cycle`` was the last that needs lines before
        ``keep_from``."""
        for _ in range(len(self._freed), max(min(keep_from, self._lines), 0)):
            last = self._freed[-1] + 2 if self._freed else 0
            self._freed.append(max(cycle + self._free, last))

    def end(self) -> int:
        """The cycle from which nothing of the image is missing; lines that no band has freed wait
        for no room."""
        self._freed += [0] * (self._lines - len(self._freed))
        return self.cycle(self._lines - 1)

    def _take(self, line: int) -> None:
        for each in range(len(self._came), line + 1):
            begin, end = each * self.line_words, (each + 1) * self.line_words
            now = self._next
            # The last words may have to wait for the room of one line more than the first.
            while begin < end:
                wanted = max(-(-(begin + 1 - self._room) // self.line_words), 0)
                until = min(end, self._room + wanted * self.line_words)
                if wanted:
                    now = max(now, self._freed[wanted - 1])
                now += self._cycles(now, until - begin)
                begin = until
            self._came.append(now - 1)
            self._next = now + 1

    def _cycles(self, now: int, words: int) -> int:
        """Those of so many words from ``now`` on."""
        alone: float = words
        if self._shared_from is not None:
            alone = min(max(self._shared_from - now, 0) / self._cost, words)
        return round(alone * self._cost + (words - alone) * self._shared_cost)
