"""A board for those who have none: the compiled simulation of what a board's FPGA holds."""

import ctypes
import os
import pty
import select
import threading
import tty
from pathlib import Path
from typing import Self

from rtl.accelerator import AcceleratorParams
from rtl.board_core import BoardCore
from rtl.memory.sdram import SdramChip
from sim.compiled import BOARD, ContractError, find_library
from sim.flash import flash_table
from sim.sdram import sdram_table

__all__ = ["DIVISOR", "CompiledBoard", "PseudoTerminal", "VirtualBoard"]

#: Clocks of a bit: the fewest there can be, so that bytes cost little simulation.
DIVISOR = 4
#: Clock of the board, as if it had one: its time is that of 3 Mbaud.
CLOCK = 3_000_000 * DIVISOR
#: Cycles between looks at the pseudo-terminal.
SLICE = 20_000
#: Bytes that the operating system gives at a time; the rest waits there, as on a real port.
CHUNK = 4096


class CompiledBoard:
    """Anything with the pins of a board's UART, compiled, that takes and gives bytes.

    Its cycles are those of the board, and so are the cycles of a byte on its pins. What a USB
    adapter and an operating system add is not there: times say nothing of them.

    Parameters
    ----------
    library : path
        What was compiled with the driver of boards.
    divisor : :class:`int`
        Cycles of a bit.
    hz : number
        Cycles of a second.
    seed : :class:`int`
        Of what registers and memories hold at first, where the library leaves that to chance.
    trace : path or None
        File for waveforms (VCD).

    Raises
    ------
    :exc:`~sim.compiled.ContractError`
        By ``run``, if that was broken.
    :exc:`OSError`
        If ``trace`` cannot be written.
    """

    def __init__(self, library: Path, *, divisor: int, hz: float, seed: int = 1,
                 trace: str | Path | None = None) -> None:
        if trace is not None:
            open(trace, "w").close()  # Verilator says nothing when it cannot
        self.hz = hz
        self._library = ctypes.CDLL(str(library))
        for name in ("board_create", "board_run", "board_cycle", "board_waiting"):
            getattr(self._library, name).restype = ctypes.c_uint64
        self._library.board_error.restype = ctypes.c_char_p
        self._board: ctypes.c_void_p | None = ctypes.c_void_p(
            self._library.board_create(divisor, seed))
        if trace is not None:
            self._library.board_trace(self._board, str(trace).encode())

    def __del__(self) -> None:
        if getattr(self, "_board", None):
            self.close()
            self._library.board_destroy(self._board)
            self._board = None

    def close(self) -> None:
        """Finish the file of waveforms."""
        self._library.board_close(self._board)

    def reset(self) -> None:
        """Press the button: memories stay, all else begins anew."""
        self._library.board_reset(self._board)

    def push(self, data: bytes) -> None:
        """Bytes for its receiver, one after the other."""
        self._library.board_push(self._board, bytes(data), ctypes.c_uint64(len(data)))

    def run(self, cycles: int, *, eager: bool = False) -> bytes:
        """Bytes sent in up to ``cycles`` cycles: fewer once nothing moves any more, or, if
        ``eager``, once bytes have come."""
        count = self._library.board_run(self._board, ctypes.c_uint64(cycles), int(eager))
        out = ctypes.create_string_buffer(count)
        self._library.board_pull(self._board, out)
        if error := self._library.board_error(self._board):
            raise ContractError(error.decode())
        return out.raw

    @property
    def quiet(self) -> bool:
        """Nothing will change until bytes come."""
        return bool(self._library.board_quiet(self._board))

    @property
    def waiting(self) -> int:
        """Bytes that are still to go to its receiver."""
        return self._library.board_waiting(self._board)

    @property
    def cycle(self) -> int:
        """Cycles so far."""
        return self._library.board_cycle(self._board)


class VirtualBoard(CompiledBoard):
    """A :class:`~rtl.board_core.BoardCore` with a UART, from its source.

    Parameters
    ----------
    params : :class:`~rtl.accelerator.AcceleratorParams`
    trace : path or None
        File for waveforms (VCD).
    chip, mhz, boot : as of :class:`~rtl.board_core.BoardCore`
        Beside it are what SDRAM and flash it has pins for: models that hold it to data sheets.
    image : :class:`bytes`
        What lies in the flash, at ``boot``.
    """

    def __init__(self, params: AcceleratorParams, *, trace: str | Path | None = None,
                 chip: SdramChip | None = None, mhz: float = 90, boot: int | None = None,
                 image: bytes = b"") -> None:
        if image and boot is None:
            raise ValueError("boot must be given with an image: it says where in the flash that is")
        self.params = params
        core = BoardCore(params, divisor=DIVISOR, chip=chip, mhz=mhz, boot=boot)
        library = find_library(core, sdram_table(core) + flash_table(core),
                               trace=trace is not None, driver=BOARD,
                               key=f"{params!r} {DIVISOR} {mhz} {boot}")
        super().__init__(library, divisor=DIVISOR, hz=CLOCK, trace=trace)
        if image and boot is not None:
            self._library.board_flash(self._board, ctypes.c_uint64(boot), bytes(image),
                                      ctypes.c_uint64(len(image)))


class PseudoTerminal:
    """A virtual board behind a pseudo-terminal: any program can open it as a serial port.

    The board lives in a thread while the ``with`` block lasts.

    Attributes
    ----------
    path : :class:`str`
        The port to open.
    """

    def __init__(self, board: CompiledBoard) -> None:
        self.board = board
        self._master, self._port = pty.openpty()
        tty.setraw(self._port)  # until somebody opens it: no echo
        self.path = os.ttyname(self._port)
        self._wake_read, self._wake_write = os.pipe()
        self._closed = False
        self._reset = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether the board still answers."""
        return self._thread.is_alive()

    def reset(self) -> None:
        """Press the board's button."""
        self._reset.set()
        os.write(self._wake_write, b"r")

    def unplug(self) -> None:
        """Pull the cable: the port is gone."""
        self.close()

    def close(self) -> None:
        """End the thread and the port."""
        if self._closed:
            return
        os.write(self._wake_write, b"q")
        self._thread.join()
        for each in (self._master, self._port, self._wake_read, self._wake_write):
            os.close(each)
        self._closed = True

    def _serve(self) -> None:
        out = b""
        while True:
            board = self.board
            # As on a real port, bytes wait outside until they fit.
            room = board.waiting < CHUNK
            readable, writable, _ = select.select(
                [self._wake_read, *([self._master] if room else [])],
                [self._master] if out else [], [], None if board.quiet and not out else 0)
            if self._wake_read in readable and os.read(self._wake_read, 1) == b"q":
                return
            if self._reset.is_set():
                self._reset.clear()
                board.reset()
            if self._master in readable:
                board.push(os.read(self._master, CHUNK))
            if writable:
                out = out[os.write(self._master, out[:CHUNK]):]
            out += board.run(SLICE, eager=True)
