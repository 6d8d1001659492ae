"""A board as a target, whatever pipe leads to it."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Self, TypeVar, Unpack

import numpy as np

import rtl
from rtl.accelerator import AcceleratorParams
from rtl.accelerator.build_registers import params_of
from rtl.accelerator.control.fingerprint import fingerprint
from rtl.accelerator.registers import FIRST_PARAMETER, ID, PARAMETERS, Register
from sim.golden.types import Int8
from systolith.compiler import Program
from systolith.runtime.driver import AcceleratorDriver
from systolith.runtime.link import BoardReset, Channel, LinkError, Pipe
from systolith.runtime.link.channel import ChannelOptions
from systolith.runtime.target import Run, RunError
from systolith.runtime.transfers import Addresses, Pending, Words, Write

__all__ = ["Device", "digest_of"]

T = TypeVar("T")

#: Seconds that a network may take.
LONGEST = 60.0
#: Times that a run begins anew on a board that was reset meanwhile.
ATTEMPTS = 3


class Device(AcceleratorDriver):
    """A board with an accelerator.

    A board that was reset, by its button say, is given its program anew, and the run repeated.

    Parameters
    ----------
    pipe : :class:`~systolith.runtime.link.Pipe`
    hello_timeout : number or None
        Seconds that the board has to answer at first, if not as at any time.
    **options
        Of :class:`~systolith.runtime.link.Channel`.

    Attributes
    ----------
    channel : :class:`~systolith.runtime.link.Channel`
    params : :class:`~rtl.accelerator.AcceleratorParams`
        What the board says of its build.
    version : :class:`str`
        Of the Systolith that its bitstream was made by.
    uploads, resets : :class:`int`
        Programs that were sent, for want of them on the board, and resets that were noticed.

    Raises
    ------
    :exc:`~systolith.runtime.link.LinkError`
        From any method: what is wrong with the link, or with what is at its other end.
    """

    #: A byte takes 300 cycles at 3 Mbaud and 90 MHz; interleaved lines would save far fewer.
    compact = True

    def __init__(self, pipe: Pipe, *, hello_timeout: float | None = None,
                 **options: Unpack[ChannelOptions]) -> None:
        self.channel = Channel(pipe, **options)
        self.uploads = self.resets = 0
        self._again(lambda: self.connect(hello_timeout))

    def connect(self, timeout: float | None = None) -> None:
        """Begin a conversation, and look at what answers within ``timeout`` seconds."""
        name = self.channel.pipe.name
        self.channel.hello(timeout=timeout)
        count = FIRST_PARAMETER + len(PARAMETERS)
        registers = self.channel.read(0, count).tolist()
        self.version = ".".join(map(str, registers[Register.VERSION].to_bytes(4, "little")[:3]))
        if registers[Register.ID] == ID and self.version != rtl.__version__:
            raise LinkError(f"{name}: the bitstream is of Systolith {self.version}, this driver of "
                            f"{rtl.__version__}: build and flash it anew")
        try:
            self.params = params_of(registers.__getitem__)
        except ValueError as error:
            raise LinkError(f"{name}: {error}") from error
        found, own = registers[Register.FINGERPRINT], fingerprint(self.params)
        if found != own:
            raise LinkError(f"{name}: descriptors or memories of the bitstream are laid out "
                            f"otherwise than this driver has them: their fingerprint is "
                            f"{found:#010x}, not {own:#010x}: build and flash it anew")
        if registers[Register.STATUS] & 1:  # what another program left behind
            self.channel.hello(abort=True)

    def close(self) -> None:
        """Give the pipe back."""
        self.channel.pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def post_write(self, address: int, words: Words) -> None:
        self.channel.write(int(address), words)

    def post_read(self, addresses: Addresses) -> Pending[Words]:
        ends = np.flatnonzero(np.diff(addresses) != 1) + 1
        readings = [self.channel.post_read(int(run[0]), len(run))
                    for run in np.split(np.asarray(addresses), ends)]

        def words() -> Words:
            self.channel.flush(LONGEST)
            return np.concatenate([reading.words() for reading in readings])

        return words

    def post_wait(self) -> None:
        self.channel.wait()

    def load(self, program: Program) -> None:
        """Send a program that was compiled for this build, unless the board has it."""
        if program.params.registers() != self.params.registers():
            raise LinkError(f"{self.channel.pipe.name}: the program is for another build: "
                            f"{_differences(program.params, self.params)}")
        self.program = None  # until it is there
        self._again(lambda: self._load(program))
        self.program = program

    def _load(self, program: Program) -> None:
        tag = digest_of(self.writes_of(program))
        if self.read(Register.TAG) == tag:
            return
        # What a flash holds may be for another build, which shuts TAG.
        self.command(Register.FINGERPRINT, fingerprint(program.params))
        self.command(Register.TAG, 0)
        super().load(program)
        self.command(Register.TAG, tag)
        self.channel.flush()
        self.uploads += 1

    def run(self, *inputs: Int8) -> Run:
        """As of :class:`~systolith.runtime.driver.AcceleratorDriver`."""
        return self._again(lambda: super(Device, self).run(*inputs))

    def run_many(self, inputs: Iterable[Sequence[Int8]],
                 first: int = 0) -> Iterator[Run | RunError]:
        """As of :class:`~systolith.runtime.driver.AcceleratorDriver`; a reset repeats what has no
        result yet."""
        inputs = list(inputs)
        runs: Iterator[Run | RunError] | None = None

        def outcome(done: int) -> Run | RunError:
            nonlocal runs
            try:
                runs = runs or super(Device, self).run_many(inputs[done:], first + done)
                return next(runs)
            except BoardReset:
                runs = None
                raise

        for done in range(len(inputs)):
            yield self._again(partial(outcome, done))

    def _again(self, work: Callable[[], T]) -> T:
        """The result of ``work``, done anew if the board was reset meanwhile."""
        attempt = 1
        while True:
            try:
                if attempt > 1:
                    self.connect()
                    if self.program is not None:
                        self._load(self.program)
                return work()
            except BoardReset as error:
                self.resets += 1
                if attempt == ATTEMPTS:
                    raise LinkError(f"{error}, {ATTEMPTS} times in a row") from error
            attempt += 1


def digest_of(images: Iterable[Write]) -> int:
    """32 bits, not all 0, that tell programs apart."""
    state = hashlib.sha256()
    for address, words in images:
        state.update(np.array([address, len(words)], "<u8").tobytes() + words.tobytes())
    return int.from_bytes(state.digest()[:4], "little") or 1


def _differences(one: AcceleratorParams, other: AcceleratorParams) -> str:
    """What the parameters of two builds do not have in common."""
    ours, theirs = one.registers(), other.registers()
    differing = [f"{name} {ours[0][name]}, not {theirs[0][name]}" for name in ours[0]
                 if ours[0][name] != theirs[0][name]]
    return ", ".join(differing) or "its units"
