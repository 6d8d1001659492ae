"""Runs that take turns: the transfers of one while another computes."""

import enum
from collections.abc import Iterable, Iterator

from systolith.runtime.target import Run, RunError

__all__ = ["Pause", "Work", "finish", "outcome_of", "overlapped"]


class Pause(enum.Enum):
    """Where a run pauses, for each segment of its program in turn, so that others can get on."""

    WRITTEN = enum.auto()  #: What the segment reads is there.
    STARTED = enum.auto()  #: It was told to go.
    AWAITED = enum.auto()  #: Commands from now on wait for its end; how it ended is asked for.


#: A run: where it pauses, and at last its outcome.
Work = Iterator[Pause | Run]


def _advance(work: Work, pause: Pause) -> None:
    """Do what comes next of a run, up to that ``pause``."""
    while next(work) is not pause:
        pass


def finish(work: Work) -> Run:
    """Do what is left of a run."""
    return next(each for each in work if isinstance(each, Run))


def outcome_of(work: Work) -> Run | RunError:
    """Do what is left of a run, which may fail."""
    try:
        return finish(work)
    except RunError as error:
        return error


def overlapped(works: Iterable[Work]) -> Iterator[Run | RunError]:
    """Outcomes of runs of one segment each, in whose places those beside them have nothing.

    At each of them nothing is under way but what the next command waits for.
    """
    works = iter(works)
    last, now = None, next(works, None)
    if now:
        _advance(now, Pause.WRITTEN)
    while now:
        _advance(now, Pause.STARTED)
        done = last and outcome_of(last)  # may lie where the next inputs go
        after = next(works, None)
        if after:
            _advance(after, Pause.WRITTEN)
        _advance(now, Pause.AWAITED)
        if done:
            yield done
        last, now = now, after
    if last:
        yield outcome_of(last)
