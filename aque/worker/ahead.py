"""Own how far ahead of their turn calls may be claimed: how many, and of which kinds.

They wait behind a running call of the same kind, or behind one that the same claim begins in a
runner that is idle, where its last call was short.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from aque.requirements import Requirements
from aque.schedule.eligible import need_of
from aque.worker.pace import LATE, Pace
from aque.worker.pool import Runners
from aque.worker.runners import Runner

if TYPE_CHECKING:
    from aque.worker.crew import Crew

#: Seconds without sending ahead after calls had to be taken back.
_PENALTY = 0.1
#: Calls that one claim brings to wait: they keep the lock from others, for 10 us each.
_CLAIM = 256
#: Calls that may wait behind one that is begun in an idle runner: to claim more would keep it idle.
_NEW = 8


class Ahead:
    """What the runners of a worker, `busy` by their pids and `idle`, may have sent to them."""

    def __init__(self, crew: Crew, busy: Mapping[int, Runner], idle: Runners, pace: Pace) -> None:
        self._crew = crew
        self._busy = busy
        self._idle = idle
        self._pace = pace
        self._off_until = 0.0

    def punish(self, now: float) -> None:
        """Send nothing ahead for a while: it was too much; `now` is monotonic."""
        self._off_until = now + _PENALTY

    def room(self) -> int:
        """Return how many calls more may wait behind those that run."""
        if not self._busy or not self._is_on():
            return 0
        now = time.monotonic()
        return min(_CLAIM, sum(self.want(runner, now) for runner in self._busy.values()))

    def kinds(self) -> frozenset[Requirements]:
        """Return what calls must need to wait behind those that run."""
        now = time.monotonic()
        return frozenset(need_of(r.sent[0].task) for r in self._busy.values() if self.want(r, now))

    def rooms(self) -> Mapping[Requirements, int]:
        """Return how many calls may wait behind one that an idle runner begins, by their needs."""
        return dict(self._rooms()) if self._is_on() else {}

    def seconds(self) -> float:
        """Return the seconds until the first runner is expected to be through with all it has."""
        seconds = (
            self._pace.expected(r.sent[0].task) * len(r.sent) for r in self._busy.values() if r.sent
        )
        return min(seconds, default=0.0)

    def want(self, runner: Runner, now: float) -> int:
        """Return how many calls more a busy runner may have, one that was not late `now`."""
        job = self._crew.jobs.get(runner.pid)
        if runner.is_retired or job is None or job.is_ending or job.wait_status is not None:
            return 0
        if not self._pace.is_short(job.task) or self.is_late(runner, now):
            return 0
        return max(0, min(self._pace.most(job.task) - len(runner.sent), runner.room_for))

    def is_late(self, runner: Runner, now: float) -> bool:
        """Whether what a runner is at takes long, as far as was heard; `now` is monotonic."""
        job = self._crew.jobs.get(runner.pid)
        return job is not None and job.started + LATE <= now

    def _rooms(self) -> Iterator[tuple[Requirements, int]]:
        for task in self._idle.last_tasks():
            if self._pace.is_short(task):
                yield need_of(task), min(_NEW, self._pace.most(task) - 1)

    def _is_on(self) -> bool:
        return time.monotonic() >= self._off_until
