"""Commands to a board, each done once and in order, over a pipe that may lose and alter bytes."""

import random
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt

from rtl.link.protocol import RING, VERSION, WORDS, Kind, Status
from systolith.runtime.link.frames import Unframer, frame
from systolith.runtime.link.pipe import LinkError, Pipe

__all__ = ["BoardReset", "Channel", "ChannelOptions", "Counts", "NoAnswer", "Reading"]

#: Frames on their way at the most: enough for a pipe that takes milliseconds, far below the 128
#: that the device can tell apart; and at the least, after losses.
WINDOW, LEAST_WINDOW = 16, 2
#: Words of a write's or read's first frames, and of the smallest that losses lead to.
FIRST_WORDS, LEAST_WORDS = 16, 4
#: Seconds without an answer until a frame is sent again, besides some of the usual trip there and
#: back; and at the most.
RETRY, RETRY_MOST = 0.05, 0.25
#: Seconds without any progress after which the link is given up.
TIMEOUT = 10.0


class NoAnswer(LinkError):
    """Nothing on the pipe answers as a board does."""


class BoardReset(LinkError):
    """The board was reset: what had been written to it may be lost."""


@dataclass
class Counts:
    """What a channel has seen so far."""

    bytes_out: int = 0
    bytes_in: int = 0
    frames: int = 0     #: Requests sent, each once.
    retries: int = 0    #: Requests sent again.
    bad_frames: int = 0


@dataclass
class _Request:
    kind: Kind
    sequence: int
    encoded: bytes
    words: int = 0
    sent: float | None = None  #: When; None if more than once.
    answer: bytes | None = None


class _Answer(NamedTuple):
    sequence: int
    status: int
    data: bytes


@dataclass
class Reading:
    """Words that were asked for; they are there once the channel is flushed."""

    requests: list[_Request] = field(default_factory=list)

    def words(self) -> npt.NDArray[np.uint32]:
        """The words, as an array of uint32."""
        answers = [request.answer for request in self.requests if request.answer is not None]
        if len(answers) < len(self.requests):
            raise RuntimeError("the words are not there yet: flush the channel before")
        return np.frombuffer(b"".join(answers), "<u4")


class ChannelOptions(TypedDict, total=False):
    """Parameters of a :class:`Channel` besides its pipe."""

    timeout: float
    seed: int | str | None


class Channel:
    """A conversation with the board at the other end of ``pipe``.

    Commands are sent ahead of their answers; :meth:`flush` waits for all. The board does each once
    and in the order in which they were posted, or not at all: then an error is raised.

    Parameters
    ----------
    pipe : :class:`~systolith.runtime.link.pipe.Pipe`
    timeout : number
        Seconds without any progress after which the link is given up.
    seed : :class:`int`, :class:`str` or None
        Of the numbers that tell conversations apart.

    Attributes
    ----------
    counts : :class:`Counts`

    Raises
    ------
    :exc:`~systolith.runtime.link.pipe.LinkError`
        From any method: :exc:`NoAnswer`, :exc:`BoardReset`, or a pipe that is gone.
    """

    def __init__(self, pipe: Pipe, *, timeout: float = TIMEOUT,
                 seed: int | str | None = None) -> None:
        self.pipe = pipe
        self.timeout = timeout
        self.counts = Counts()
        self._random = random.Random(seed)
        self._unframer = Unframer()
        self._sequence = 0
        self._flight: deque[_Request] = deque()
        self._words, self._window, self._lost_before = FIRST_WORDS, WINDOW, False
        self._went_back = self._probing = False
        self._trip, self._retry = 0.0, RETRY  # seconds

    # A conversation begins

    def hello(self, *, abort: bool = False, timeout: float | None = None) -> None:
        """Begin anew, after ``abort`` with a board that was reset but for its memories.

        Raises :exc:`NoAnswer` after ``timeout`` seconds, and :exc:`LinkError` for a board that
        speaks another version.
        """
        timeout = self.timeout if timeout is None else timeout
        kind = Kind.ABORT if abort else Kind.HELLO
        nonce = self._random.randbytes(4)
        self._sequence = self._random.randrange(256)
        self._flight.clear()
        self._unframer.clear()
        self.pipe.discard()
        request = self._request(kind, 0, nonce)
        heard, began = self.counts.bytes_in, self.pipe.now()
        while self.pipe.now() - began < timeout:
            self._send(b"\0" + request.encoded)  # ends what may have been on its way
            self.counts.frames += 1
            until = self.pipe.now() + self._retry
            while (left := until - self.pipe.now()) > 0:
                for sequence, status, data in self._answers(left):
                    if (sequence, status, data[:4]) == (request.sequence, Status.OK, nonce):
                        return self._welcome(data[4:])
        heard = self.counts.bytes_in - heard
        raise NoAnswer(
            f"{self.pipe.name}: no board answers" + (
                f"; {heard} bytes came, but no frame of the link: the baud rate, or what is "
                "plugged in, is another" if heard else
                "; nothing came at all: is it powered, and its bitstream loaded?"))

    def _welcome(self, data: bytes) -> None:
        version, words, ring = data[0], data[1], int.from_bytes(data[2:4], "little")
        if version != VERSION or words < WORDS or ring < RING:
            raise LinkError(f"{self.pipe.name}: the board speaks version {version} of the link, "
                            f"this driver version {VERSION}: build and flash its bitstream anew")

    # Commands

    def write(self, address: int, words: npt.ArrayLike) -> None:
        """Write 32-bit ``words`` to ascending addresses, at some time before the next command."""
        raw = np.ascontiguousarray(words, "<u4").tobytes()
        if any(request.kind == Kind.READ for request in self._flight):
            self.flush()  # they may be read again, and must not see what is written now
        while raw:
            self._make_room()
            part, raw = raw[:4 * self._words], raw[4 * self._words:]
            self._post(Kind.WRITE, address, part)
            address += len(part) // 4

    def read(self, address: int, count: int) -> npt.NDArray[np.uint32]:
        """``count`` words from ascending addresses."""
        reading = self.post_read(address, count)
        self.flush()
        return reading.words()

    def post_read(self, address: int, count: int) -> Reading:
        """Ask for ``count`` words: a :class:`Reading`.

        What is written later waits for their answers: one that is lost is read again.
        """
        reading = Reading()
        while count:
            self._make_room()
            words = min(count, self._words)
            reading.requests.append(self._post(Kind.READ, address, bytes([words]), words))
            address, count = address + words, count - words
        return reading

    def wait(self) -> None:
        """What is posted from now on waits until the board computes no more.

        Only reads may be posted before the channel is flushed: the board cannot hold more.
        """
        self._make_room()
        self._post(Kind.WAIT, 0, b"")

    def ping(self) -> float:
        """Seconds until the board answers."""
        self.flush()
        began = self.pipe.now()
        self._post(Kind.READ, 0, b"\0")
        self.flush()
        return self.pipe.now() - began

    def flush(self, timeout: float | None = None) -> None:
        """Until all is answered; ``timeout`` as of the channel, if it is another."""
        self._pump(lambda: not self._flight, timeout)

    # Frames

    def _request(self, kind: Kind, address: int, payload: bytes, words: int = 0) -> _Request:
        body = bytes([kind, self._sequence]) + address.to_bytes(3, "little") + payload
        request = _Request(kind, self._sequence, frame(body), words)
        self._sequence = (self._sequence + 1) % 256
        return request

    def _post(self, kind: Kind, address: int, payload: bytes, words: int = 0) -> _Request:
        request = self._request(kind, address, payload, words)
        request.sent = self.pipe.now()
        self._flight.append(request)
        self.counts.frames += 1
        self._send(request.encoded)
        return request

    def _send(self, data: bytes) -> None:
        self.pipe.write(data)
        self.counts.bytes_out += len(data)

    def _make_room(self) -> None:
        self._pump(lambda: len(self._flight) < self._window, None)

    def _pump(self, enough: Callable[[], bool], timeout: float | None) -> None:
        """Take answers until there are ``enough``; send again what gets none."""
        timeout = self.timeout if timeout is None else timeout
        progress = self.pipe.now()
        retry = progress + self._retry
        while not enough():
            done = len(self._flight)
            for answer in self._answers(max(retry - self.pipe.now(), 0)):
                self._take(*answer)
            now = self.pipe.now()
            if len(self._flight) < done:
                progress, retry = now, now + self._retry
            elif now - progress > timeout:
                raise NoAnswer(f"{self.pipe.name}: the board has not answered for "
                               f"{timeout:g} s; is it still plugged in?")
            elif now >= retry:
                self._again()
                retry = now + self._retry

    def _again(self) -> None:
        """Nothing came in time: ask with one frame before all are sent again."""
        waits = self._flight[0].kind == Kind.WAIT
        self._went_back, self._probing = False, not waits
        self._resend([self._flight[0]])
        self._retry = max(min(2 * self._retry, RETRY_MOST), RETRY + 3 * self._trip)
        if not waits:
            self._shrink()

    def _resend(self, requests: Collection[_Request]) -> None:
        if requests:  # the delimiter ends a frame that lost its own
            self._send(b"\0" + b"".join(request.encoded for request in requests))
            self.counts.retries += len(requests)
            for request in requests:
                request.sent = None

    def _shrink(self) -> None:
        """Frames were lost: fewer and smaller ones get through sooner."""
        self._words, self._window = (max(self._words // 2, LEAST_WORDS),
                                     max(self._window // 2, LEAST_WINDOW))
        self._lost_before = True

    def _grow(self) -> None:
        self._words = min(self._words + (1 if self._lost_before else self._words), WORDS)
        self._window = min(self._window + 1, WINDOW)

    def _answers(self, timeout: float) -> list[_Answer]:
        data = self.pipe.read(timeout)
        self.counts.bytes_in += len(data)
        bodies = self._unframer.feed(data)
        self.counts.bad_frames = self._unframer.bad
        return [_Answer(body[0], body[1], body[2:]) for body in bodies if len(body) >= 2]

    def _take(self, sequence: int, status: int, data: bytes) -> None:
        place = next((n for n, request in enumerate(self._flight)
                      if request.sequence == sequence), None)
        if place is None:  # of a frame that was sent twice
            return
        request = self._flight[place]
        match status:
            case Status.OK if len(data) == 4 * request.words:
                request.answer = data
                self._grow()
                if request.sent is not None and request.kind != Kind.WAIT:
                    self._trip += (self.pipe.now() - request.sent - self._trip) / 4
                    self._retry = RETRY + 3 * self._trip
                # All before it were done too, but of reads the answer was lost.
                before = [each for each in list(self._flight)[:place] if each.kind == Kind.READ]
                behind = list(self._flight)[place + 1:]
                self._flight = deque(before + behind)
                if before:
                    self._shrink()
                self._resend(before + behind if self._probing else before)
                self._went_back = self._probing = False
            case Status.GAP if not self._went_back:
                self._went_back = True
                self._shrink()
                self._resend(self._flight)
            case Status.CLOSED:
                raise BoardReset(f"{self.pipe.name}: the board was reset")
            case Status.REFUSED:
                raise LinkError(f"{self.pipe.name}: the board does not know {request.kind.name}")
