"""Own how long calls take, by their functions, and how far ahead they may be sent."""

from __future__ import annotations

from aque.task import Task

#: Seconds of work that may wait behind a call, and how many calls.
HORIZON = 0.01
MOST = 512
#: Seconds that a call may take until those behind it are taken back.
LATE = 0.02
#: Seconds that a call may take, as is expected, to be sent ahead.
_SHORT = 0.0025
#: The functions whose seconds are remembered.
_FUNCTIONS = 1000


class Pace:
    """The seconds that calls of the functions seen lately are expected to take."""

    def __init__(self) -> None:
        self._seconds: dict[str | None, float] = {}  # by the function's text

    def note(self, task: Task, taken: float) -> None:
        """Note that a call of a task took so many seconds."""
        before = self._seconds.get(task.func, taken)
        if len(self._seconds) > _FUNCTIONS:
            self._seconds.clear()
        self._seconds[task.func] = _estimate(before, taken)

    def expected(self, task: Task) -> float:
        """Return the seconds that its call is expected to take; 0 where that is not known."""
        return self._seconds.get(task.func, 0.0)

    def is_short(self, task: Task) -> bool:
        """Whether calls like this one may be sent ahead."""
        return self._seconds.get(task.func, HORIZON) < _SHORT and task.stdin is None

    def most(self, task: Task) -> int:
        """Return how many calls like this one a runner may have, the one it runs included."""
        return min(MOST, int(HORIZON / max(self.expected(task), 1e-6)))


def _estimate(before: float, taken: float) -> float:
    """Return what a call is expected to take, after one that took so many seconds.

    About the median: where processes outnumber cpus, many a call of 20 us stands still for 3 ms.
    But one that is late counts in full.
    """
    if taken >= LATE:
        return 0.8 * before + 0.2 * taken
    return min(taken, before * 1.2) if taken > before else max(taken, before * 0.8)
