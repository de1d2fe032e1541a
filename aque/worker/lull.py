"""Own the lulls of a worker: when it lets news gather, so that many tasks share a transaction.

A task that comes alone costs two transactions and four wake-ups, ten times what a short call takes.
Where tasks come faster than that, one by one, it pays to sleep for a moment and then to claim what
has come and record what has ended, all at once. But whoever waits for one result before he submits
the next gets it that much later, and nothing more comes meanwhile. So a lull must have brought
several tasks, or there is none for a while: for long only where that happens again and again, since
a stream of tasks ends so too.
"""

from __future__ import annotations

#: Seconds from one transaction to the next in a lull at most, and the tasks that are enough.
_GATHER, _ENOUGH = 0.004, 8
#: The tasks that a lull must bring, or there is none for so many seconds: twice as many each time.
_LEAST, _PENALTY, _PENALTY_MOST = 4, 0.005, 0.3
#: So many calls that wait behind others are a flood, of which there is more: the same for those.
_FLOOD, _FLOOD_GATHER = 3, 0.002


class Lull:
    """Whether there is a reason to wait, as a worker has last seen it. `now` is monotonic."""

    def __init__(self) -> None:
        self._is_pressed = False
        self._is_flooded = False
        self._took = 0.0
        self._has_slept = False
        self._gather = _GATHER
        self._claimed_at = 0.0
        self._penalty = _PENALTY
        self._off_until = 0.0

    @property
    def is_due(self) -> bool:
        """Whether tasks come faster than they are told of, as far as is known."""
        return self._is_pressed

    def hear(self, is_busy: bool, now: float) -> None:
        """Hear that new work has come, while the worker was busy with other or not."""
        self._is_pressed = is_busy and now >= self._off_until

    def note_claim(self, count: int, behind: int, has_room: bool, took: float, now: float) -> None:
        """Note how many tasks a claim has brought, and how many of them wait behind others.

        `took` is how many seconds its transaction did.

        Where there is still room nothing is left to be claimed, and to wait costs nobody a turn;
        but where a claim has brought nothing, only ends are to be told, for which somebody waits.
        The faster tasks come, the shorter is the lull in which enough of them do.
        """
        if self._has_slept and count < _LEAST:
            self._is_pressed = False
            self._off_until = now + self._penalty
            self._penalty = min(2 * self._penalty, _PENALTY_MOST)
        elif self._has_slept:
            self._penalty = _PENALTY
        self._is_pressed &= has_room and count > 0
        self._gather = min(_GATHER, (now - self._claimed_at) * _ENOUGH / max(1, count))
        self._claimed_at = now
        self._is_flooded = behind >= _FLOOD
        self._took = took
        self._has_slept = False

    def begin(self, since: float, ahead: float | None, now: float) -> float:
        """Return the seconds to sleep now, if any; `since` is the end of the last transaction.

        With all slots taken, runners have so many seconds of work `ahead`, and none is to be idle
        before the next transaction is through.
        """
        gather = self._gather if self._is_pressed else 0.0
        if self._is_flooded and ahead is not None:
            gather = min(_FLOOD_GATHER, (ahead - self._took) / 2)
        left = max(0.0, since + gather - now)
        self._has_slept |= self._is_pressed and left > 0.0
        return left
