"""Own the word that nobody runs what a program waits for; it would else wait in silence."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from aque import states
from aque.brokers.base import Broker
from aque.errors import AqueError
from aque.record import replace
from aque.report import WorkerRecord
from aque.schedule import eligible
from aque.schedule.resources import Resources
from aque.task import Task

#: Seconds that a program waits without a worker until it is told.
PATIENCE = 3.0

log = logging.getLogger("aque.executor")


class Unattended:
    """Looks, while tasks are `awaited`, whether a worker may run them; says once that none may.

    `awaited` has the ids of some. With `has_own` a worker is there, or is about to be.
    """

    def __init__(
        self, broker: Broker, awaited: Callable[[], Sequence[int]], has_own: bool = False
    ) -> None:
        self._broker = broker
        self._awaited = awaited
        self._has_own = has_own
        self._look_at = float("inf")
        self._is_said = False

    def look(self) -> None:
        """Look, if it is time; called at each change of the queue, and each second."""
        now = time.monotonic()
        if self._is_said or not self._awaited():
            self._look_at = float("inf")
        elif self._look_at > now:
            self._look_at = min(self._look_at, now + PATIENCE)
        else:
            self._look_at = now + PATIENCE
            trouble = self._trouble()
            if trouble is not None:
                self._is_said = True
                log.warning(trouble)

    def _trouble(self) -> str | None:
        url = self._broker.to_url()
        try:
            workers = [worker for worker in self._broker.workers() if worker.takes_work]
            if not workers and not self._has_own:
                return f"no worker runs for this queue; aque-worker --broker {url} starts one"
            for task in self._broker.fetch(self._awaited()) if workers else ():
                if _is_ready(task) and not any(_may_run(task, worker) for worker in workers):
                    return (
                        f"no worker may run task {task.id}; "
                        f"aque-status --broker {url} --why {task.id} says why"
                    )
        except AqueError:
            pass  # that is another trouble, and not for us to tell
        return None


def _is_ready(task: Task) -> bool:
    is_due = task.due_at is None or task.due_at <= time.time()
    return task.status == states.PENDING and not task.waiting and not task.is_group and is_due


def _may_run(task: Task, worker: WorkerRecord) -> bool:
    """Whether it may ever, were it idle; limits are the queue's, and have been looked at."""
    need = replace(eligible.need_of(task), limits=None)
    whole = Resources(worker.cpus, worker.memory, worker.slots)
    return whole.fits(need) and eligible.may_run(need, eligible.claimant_of(worker, whole))
