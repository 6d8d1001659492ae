"""A pipe that does to bytes what bad cables, and people, do."""

import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import NoReturn

from systolith.runtime.link.pipe import LinkError, Pipe

__all__ = ["KINDS", "FaultyPipe"]

#: What may happen to a byte.
KINDS = "drop", "double", "flip", "late", "truncate"
#: Bytes that are lost with a truncation, and seconds that a late byte takes, at the most.
BURST, LATE = 40, 0.1


class _Line:
    """One direction: bytes enter, and leave in their order, some altered, some late."""

    def __init__(self, rate: float, kinds: Sequence[str], rng: random.Random,
                 faults: Counter[str]) -> None:
        self._rate, self._kinds, self._random, self._faults = rate, kinds, rng, faults
        self._lost, self._due = 0, 0.0
        self._bytes: deque[tuple[float, bytes]] = deque()  # when due, and what

    def put(self, data: bytes, now: float) -> None:
        part = bytearray()
        for byte in data:
            if self._lost:
                self._lost -= 1
                continue
            if self._random.random() >= self._rate:
                part.append(byte)
                continue
            kind = self._random.choice(self._kinds)
            self._faults[kind] += 1
            match kind:
                case "double":
                    part += bytes([byte, byte])
                case "flip":
                    part.append(byte ^ 1 << self._random.randrange(8))
                case "late":
                    self._add(part, now)
                    self._due = max(self._due, now) + self._random.random() * LATE
                    part = bytearray([byte])
                case "truncate":
                    self._lost = self._random.randrange(BURST)
        self._add(part, now)

    def _add(self, part: bytearray, now: float) -> None:
        self._due = max(self._due, now)
        if part:
            self._bytes.append((self._due, bytes(part)))

    def take(self, now: float) -> bytes:
        """Bytes that are due."""
        out = b""
        while self._bytes and self._bytes[0][0] <= now:
            out += self._bytes.popleft()[1]
        return out

    def wait(self, now: float) -> float:
        """Seconds until the next are, or infinity."""
        return max(self._bytes[0][0] - now, 0.0) if self._bytes else float("inf")


class FaultyPipe(Pipe):
    """``pipe``, with faults in both directions.

    Parameters
    ----------
    pipe : :class:`Pipe`
    rate : number
        Probability of a fault for each byte.
    seed : :class:`int` or :class:`str`
    kinds : sequence of :class:`str`
        Which of :data:`KINDS` there are.

    Attributes
    ----------
    faults : :class:`collections.Counter`
        How many of each kind there were.
    bytes : :class:`int`
        Bytes that were given to the pipe at either end.
    """

    def __init__(self, pipe: Pipe, rate: float = 0.0, seed: int | str = 0,
                 kinds: Sequence[str] = KINDS) -> None:
        self.pipe, self.name = pipe, pipe.name
        self.faults: Counter[str] = Counter()
        rng = random.Random(seed)
        self._out, self._in = (_Line(rate, kinds, rng, self.faults) for _ in range(2))
        self.bytes = 0
        self._events: list[tuple[float, Callable[[], object]]] = []
        self._silent = False

    def write(self, data: bytes) -> None:
        self.bytes += len(data)
        self._happen()
        self._out.put(data, self.now())
        self._pass_on()

    def _pass_on(self) -> None:
        data = self._out.take(self.now())
        if data and not self._silent:
            self.pipe.write(data)

    def read(self, timeout: float) -> bytes:
        until = self.now() + timeout
        while True:
            self._happen()
            now = self.now()
            self._pass_on()
            if (data := self._in.take(now)) or now >= until:
                return data
            event = self._events[0][0] - now if self._events else float("inf")
            came = self.pipe.read(min(until - now, event, self._out.wait(now),
                                      self._in.wait(now)))
            self.bytes += len(came)
            if not self._silent:
                self._in.put(came, self.now())

    def at(self, when: float, event: Callable[[], object]) -> None:
        """Call ``event`` once the time is ``when``, which is later than that of any before it."""
        self._events.append((when, event))

    def _happen(self) -> None:
        while self._events and self._events[0][0] <= self.now():
            self._events.pop(0)[1]()

    def pull(self) -> NoReturn:
        """Pull the cable at this end: the port is gone."""
        raise LinkError(f"{self.name}: the port is gone; was it pulled out?")

    def hush(self) -> None:
        """Pull the cable at the other end: nothing says so."""
        self._silent = True

    def now(self) -> float:
        return self.pipe.now()

    def discard(self) -> None:
        self.pipe.discard()

    def close(self) -> None:
        self.pipe.close()
