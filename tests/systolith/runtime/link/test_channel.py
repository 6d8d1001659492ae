"""What the channel does about losses, on a board that keeps the protocol and loses what it is told.

``docs/link.md`` says what a host owes the board.
"""

import numpy as np
import pytest

from rtl.link.protocol import INFO, RING, VERSION, WORDS, Kind, Status
from systolith.runtime.link import BoardReset, Channel, LinkError, NoAnswer, Pipe
from systolith.runtime.link.frames import Unframer, frame

WINDOW = 16


class Board(Pipe):
    """Memory behind a pipe; of the requests after HELLO, ``deaf`` to some and ``mute`` on others,
    by when they come."""

    name = "board"

    def __init__(self, deaf=(), mute=(), info=INFO):
        self.deaf, self.mute, self.info = set(deaf), set(mute), info
        self.memory, self.requests = {}, []
        self.expected = None
        self.answers, self._time, self._unframer = b"", 0.0, Unframer()

    def write(self, data):
        for body in self._unframer.feed(data):
            number = None
            if body[0] != Kind.HELLO:
                number = len(self.requests)
                self.requests.append(body)
            if number in self.deaf:
                continue
            answer = self._answer(body)
            if number not in self.mute:
                self.answers += frame(answer)

    def _answer(self, body):
        kind, sequence, address, data = (body[0], body[1], int.from_bytes(body[2:5], "little"),
                                         body[5:])
        if kind == Kind.HELLO:
            self.expected = (sequence + 1) % 256
            return bytes([sequence, Status.OK]) + data + self.info.to_bytes(4, "little")
        if self.expected is None:
            return bytes([sequence, Status.CLOSED])
        ahead = (sequence - self.expected) % 256
        if 0 < ahead < 128:
            return bytes([sequence, Status.GAP])
        self.expected = (self.expected + (ahead == 0)) % 256
        words = b""
        if kind == Kind.WRITE and ahead == 0:
            for n, word in enumerate(np.frombuffer(data, "<u4").tolist()):
                self.memory[address + n] = word
        if kind == Kind.READ:
            words = b"".join(self.memory.get(address + n, 0).to_bytes(4, "little")
                             for n in range(data[0]))
        return bytes([sequence, Status.OK]) + words

    def read(self, timeout):
        self._time += timeout * (not self.answers)
        data, self.answers = self.answers, b""
        return data

    def now(self):
        return self._time

    def discard(self):
        self.answers = b""

    def close(self):
        pass


def opened(**losses):
    board = Board(**losses)
    channel = Channel(board, seed=0)
    channel.hello()
    return board, channel


@pytest.mark.parametrize("losses, repeats", [
    ({}, False), ({"deaf": [0]}, True), ({"deaf": [1, 3]}, True), ({"deaf": range(1, 40, 3)}, True),
    ({"mute": [0]}, False), ({"mute": [2, 3, 4]}, False)])  # later answers speak for writes
def test_all_arrives(losses, repeats):
    board, channel = opened(**losses)
    words = np.arange(1000) * 7919
    channel.write(5, words)
    assert channel.read(5, 1000).tolist() == words.tolist()
    assert board.memory == {5 + n: word for n, word in enumerate(words.tolist())}
    assert (channel.counts.retries > 0) == repeats


def test_words_are_there_when_the_channel_is_flushed():
    _, channel = opened()
    channel.write(0, [11])
    reading = channel.post_read(0, 1)
    with pytest.raises(RuntimeError, match="^the words are not there yet: flush the channel "
                                           "before$"):
        reading.words()
    channel.flush()
    assert reading.words().tolist() == [11]


def test_a_repeated_read_sees_nothing_that_was_written_later():
    board, channel = opened(mute=[1])
    channel.write(0, [11])
    reading = channel.post_read(0, 1)
    channel.write(0, [22])
    channel.flush()
    assert reading.words().tolist() == [11] and board.memory[0] == 22
    assert channel.counts.retries > 0


def test_a_gap_is_made_good_once():
    """However many of the requests behind it are told of it."""
    board, channel = opened(deaf=[0])
    for n in range(8):
        channel.write(n, [n])
    channel.flush()
    assert channel.counts.retries == 8 and len(board.requests) == 16
    assert board.memory == {n: n for n in range(8)}


@pytest.mark.parametrize("losses, full", [({}, True), ({"deaf": [12]}, False),
                                          ({"mute": [12]}, False)])
def test_frames_are_smaller_after_a_loss_and_grow_again(losses, full):
    board, channel = opened(**losses)
    assert len(channel.read(0, 100 * WORDS)) == 100 * WORDS
    sizes = [body[5] for body in board.requests]
    assert (sizes[20] == WORDS) == full  # a window later
    assert sizes[-2] == WORDS


def test_no_more_frames_than_the_window_are_unanswered():
    board, channel = opened()
    for n in range(100):
        channel.write(n, [n])
        assert len(Unframer().feed(board.answers)) <= WINDOW
    channel.flush()
    assert len(board.requests) == 100 and channel.counts.retries == 0


def test_answers_of_another_conversation_begin_none():
    """Not even one with the right number."""

    class Late(Board):
        def _answer(self, body):
            sequence, status, *data = super()._answer(body)
            return bytes([sequence, status, data[0] ^ 1, *data[1:]])

    with pytest.raises(NoAnswer, match=r"^board: no board answers; \d+ bytes came, but no frame"):
        Channel(Late(), seed=0).hello(timeout=1)


def test_a_reset_is_noticed():
    board, channel = opened()
    board.expected = None
    with pytest.raises(BoardReset, match=r"^board: the board was reset$"):
        channel.read(0, 1)


def test_silence_comes_to_an_end():
    board, channel = opened(deaf=range(1000))
    with pytest.raises(NoAnswer, match=r"^board: the board has not answered for 10 s; is it still "
                                       r"plugged in\?$"):
        channel.read(0, 1)
    assert 10 <= board.now() < 11


@pytest.mark.parametrize("version, words, ring", [
    (VERSION + 1, WORDS, RING), (VERSION, WORDS - 1, RING), (VERSION, WORDS, RING - 1)])
def test_another_version_is_refused(version, words, ring):
    with pytest.raises(LinkError, match=rf"^board: the board speaks version {version} of the link, "
                                        rf"this driver version {VERSION}: build and flash"):
        opened(info=version | words << 8 | ring << 16)
