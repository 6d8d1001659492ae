"""What lines of nextpnr tell: how far it is, and whether it still gets on."""

import re

from boards.flow.tools import Say, ToolError

__all__ = ["Progress"]

STATIC = r"Info: iter=(\d+) steplen"
ROUTER = r"Info: +\d+ \| .*\| +(\d+)\|[^|]*\|"
#: Lines by which one can tell how far nextpnr is, and what to say then.
STEPS = (
    (r"Info: Packing constants", "packing"),
    (r"Info: +at iteration #(\d+), type ALL", "placing, iteration {}"),
    (r"Info: +at initial placer iter (\d+)", "placing, iteration {}"),
    (STATIC, "placing, iteration {}"),
    (r"Info: Routing globals", "routing clocks"),
    (ROUTER, "routing, {} arcs left"),
    (r"Info: +iter=\d+ wires=\d+ overused=(\d+)", "routing, {} wires are used twice"),
    (r"Info: Critical path report", "timing"),
)
#: Iterations after which the static placer is taken to diverge: where it converges, on whatever
#: board, that takes it some 520 to 570.
ITERATIONS = 1500
#: Reports of the router, one for each 1 000 arcs, without fewer arcs left than ever before, after
#: which they are taken to be in each other's way for good: runs that end have 4 in a row at most.
REPORTS = 30


class Progress:
    """Takes the lines of one run of nextpnr, and tells ``say`` what they mean.

    Raises :exc:`ToolError` if the run would go on for ever.
    """

    def __init__(self, say: Say) -> None:
        self.say = say
        self.least: int | None = None
        self.vain = 0

    def __call__(self, line: str) -> None:
        for pattern, meaning in STEPS:
            if found := re.match(pattern, line):
                self.say(meaning.format(*found.groups()))
                if pattern is STATIC:
                    self._placed(int(found[1]))
                elif pattern is ROUTER:
                    self._routed(int(found[1]))
                break

    def _placed(self, iteration: int) -> None:
        if iteration > ITERATIONS:
            raise ToolError(f"nextpnr's static placer found no placement in {ITERATIONS} "
                            "iterations. Another --seed may do")

    def _routed(self, left: int) -> None:
        if self.least is None or left < self.least:
            self.least, self.vain = left, 0
        else:
            self.vain += 1
        if self.vain == REPORTS:
            raise ToolError(f"nextpnr's router does not get on: in {REPORTS} 000 turns it has not "
                            f"brought the arcs that are left below {self.least}. Another --seed "
                            "may do")
