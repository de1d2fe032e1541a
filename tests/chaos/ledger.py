"""Own what was promised, seen and done: what the verdict compares the queue with."""

from __future__ import annotations

import time
from collections import Counter

from work import Work

from aque.task import Task

#: Seconds by which a signal may seem to be earlier than it was.
_BLUR = 0.1


class Ledger:
    """What happened so far.

    `acknowledged` are the tasks whose ids were printed; `killed` those that aque-kill was asked
    to end; `hurt` those whose processes were hit; `hit` the pids that were, and `young_hits` when
    one was that has not shown its task; `succeeded` when a follower had first seen that a task
    has succeeded; `wrong` what a role itself saw go wrong.
    """

    def __init__(self) -> None:
        self.acknowledged: dict[int, Work] = {}
        self.killed: set[int] = set()
        self.hurt: set[int] = set()
        self.hit: set[int] = set()
        self.young_hits: list[float] = []
        self.succeeded: dict[int, float] = {}
        self.xargs_done: dict[int, int] = {}  # items by the number of a run that ended with 0
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.order: list[int] = []

    def acknowledge(self, id: int, work: Work) -> None:
        if id in self.acknowledged:
            self.wrong.append(f"the id {id} was given to two tasks")
        self.acknowledged[id] = work
        self.order.append(id)

    def note_success(self, id: int) -> None:
        self.succeeded.setdefault(id, time.time())

    def excuses(self, task: Task) -> bool:
        """Whether something was done to a task that explains that it has not succeeded.

        A runner does not show which task it has, nor does a command that is being started, and the
        queue knows a pid only after a while.
        """
        if task.id in self.killed or task.id in self.hurt or task.pid in self.hit:
            return True
        began, ended = task.started_at, task.ended_at
        if task.pid is None and began is not None and ended is not None:
            return any(began - _BLUR <= at <= ended for at in self.young_hits)
        return False
