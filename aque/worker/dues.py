"""Own a worker's clocks: when to look for work, to check, poll, make a round, record and retry.

All are set here, by the names of what has happened. Instants are monotonic; 0.0 is at once, and
infinity not until somebody says so.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aque.worker.aside import Aside
    from aque.worker.news import News

#: Seconds until output and the start of a process are recorded when nothing else is.
RECORD_DELAY = 0.1
#: Seconds from one transaction to the next where that is only to record begins and ends, and
#: seconds without a new one after which it does not wait for more: many short tasks share one
#: transaction, and of longer ones each end is recorded at once.
_PACE, _QUIET = 0.01, 0.003
#: Seconds after which a run of aque-xargs is long enough to be guarded, and to hear bells.
SHORT = 0.2
#: Seconds from a transaction that failed to the next.
_RETRY_DELAY = 1.0


class Dues:
    """When each is due: all at once, but for what a short run can do without until `later`.

    `news` and `aside` are what is to be recorded. From one round to the next it is `interval`.
    """

    def __init__(self, news: News, aside: Aside, later: float, interval: float) -> None:
        self._news = news
        self._aside = aside
        self._interval = interval
        self._output_since: float | None = None
        self._is_deaf = True
        #: Until when bells need not be heard, unless somebody else writes.
        self.deaf_until = later
        #: Work is looked for in the queue.
        self.look_at = 0.0
        #: What others may have asked for is looked at.
        self.check_at = 0.0
        #: The same, and whether a ring was lost.
        self.poll_at = later
        #: With a poll: what is ours still, and who has died.
        self.round_at = time.monotonic() + interval  # and with the first poll
        #: Nothing is told to the queue before that.
        self.retry_at = 0.0
        #: The end of the last transaction.
        self.recorded_at = 0.0

    def look_again(self, at: float = 0.0) -> None:
        """Look for work at this time, by default in this turn."""
        self.look_at = at

    def check_by(self, at: float = 0.0) -> None:
        """Check at this time, by default in this turn, if nothing has it done before."""
        self.check_at = min(self.check_at, at)

    def note_check(self) -> None:
        self.check_at = float("inf")

    def note_poll(self, now: float, interval: float) -> None:
        """Hear of a poll, for which bells are heard now, and after how long the next is due."""
        self._is_deaf = False
        self.poll_at = now + interval

    def poll_by(self, at: float) -> None:
        self.poll_at = min(self.poll_at, at)

    def note_round(self, now: float) -> None:
        self.round_at = now + self._interval

    def make_round_again(self) -> None:
        """Make a round in the next turn."""
        self.poll_at = self.round_at = 0.0

    def postpone(self) -> None:
        """Leave the queue alone for a while, as it could not be told or asked."""
        self.retry_at = self.check_at = time.monotonic() + _RETRY_DELAY

    @property
    def is_troubled(self) -> bool:
        """Whether the queue could not be told, and is not to be told again yet."""
        return self.retry_at > 0.0 and time.monotonic() < self.retry_at

    def begin(self) -> None:
        """Hear that a run begins: what comes is recorded from now on."""
        self.recorded_at = time.monotonic()

    def note_recorded(self) -> None:
        """Hear of a transaction. Commands that follow each other fast leave no time to wait.

        So whoever has no ears yet needs none for a while.
        """
        self.recorded_at = time.monotonic()
        self._output_since = None
        if self._is_deaf:
            self.poll_at = min(self.recorded_at + SHORT, self.round_at)

    def record_at(self) -> float:
        """Return when there is something to be recorded, if nothing else comes before."""
        news = self._news
        if news.ends or self._aside:  # all else is told with them
            return min(self.recorded_at + _PACE, news.ended_at + _QUIET)
        at = float("inf")
        if news.output or news.progress:
            self._output_since = self._output_since or time.monotonic()
            at = min(at, self._output_since + RECORD_DELAY)
        started = news.first_start()
        return at if started is None else min(at, started + RECORD_DELAY)

    def quiet_until(self) -> float:
        """Return when something is due that is not about the start of one's own tasks."""
        return min(self.poll_at, self.check_at, self.record_at())
