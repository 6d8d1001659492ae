"""A virtual board in this very process, as a pipe."""

from sim.virtual_board import CompiledBoard
from systolith.runtime.link.pipe import Pipe

__all__ = ["SimulatedPipe"]

#: Cycles of a look at the board.
SLICE = 200_000


class SimulatedPipe(Pipe):
    """The pins of a :class:`~sim.virtual_board.CompiledBoard`, in its own time.

    Where nothing moves any more, time leaps to the end of a timeout.
    """

    name = "virtual board"

    def __init__(self, board: CompiledBoard) -> None:
        self.board = board
        self._leapt = 0.0

    def now(self) -> float:
        return self.board.cycle / self.board.hz + self._leapt

    def write(self, data: bytes) -> None:
        self.board.push(data)

    def read(self, timeout: float) -> bytes:
        until = self.now() + timeout
        while not (data := self.board.run(SLICE, eager=True)):
            left = until - self.now()
            if left <= 0:
                break
            if self.board.quiet:
                self._leapt += left
                break
        return data

    def discard(self) -> None:
        self.board.run(0)

    def close(self) -> None:
        self.board.close()
