"""Own what becomes of a dead worker's tasks: whoever finds it ends what it left, then requeues.

Who is dead, liveness.py tells. What its tasks left running is ended first, or two attempts would
run at once (leftovers.py); its guard does the same at the same time, and neither waits for the
other. Only when all of it has gone do the tasks become pending: where something cannot die yet, in
a call to a device that does not answer, the next look tries again. Whoever else found the same
worker dead loses the race harmlessly: an attempt is requeued once.

A task may be what kills its workers, by using up all memory, say. One that was running alone when
its worker died has that counted, and ends as an error when it has happened `crashes` times (a
setting). Beside others it may be innocent, so nothing is counted: the next time, or the one after,
it will be alone. Nor is anything counted where the machine, or another host, may be to blame.
"""

from __future__ import annotations

import logging
import os
import signal
import time

from aque import trust
from aque.brokers.base import Broker
from aque.report import WorkerRecord
from aque.task import Task
from aque.worker import host, leftovers
from aque.worker.host import Host
from aque.worker.leftovers import Leader
from aque.worker.liveness import Observer

#: Seconds that a look waits for what it has killed.
_PATIENCE = 5.0

log = logging.getLogger("aque.worker")


def recover(observer: Observer) -> None:
    """Bury every worker that is seen to be dead."""
    for worker in observer.dead():
        if _may_end(worker, observer.here):
            bury(observer.broker, worker, observer.here)


def bury(broker: Broker, worker: WorkerRecord, here: Host) -> None:
    """End what a dead worker left, requeue its tasks, and close the groups it was filling."""
    tasks = broker.running(worker.id)
    if here.is_home_of(worker) and not _end_leftovers(tasks, worker):
        return
    broker.requeue(
        [(task.id, task.attempt) for task in tasks],
        f"worker {worker.name} died",
        is_crash=len(tasks) == 1 and here.is_home_of(worker),
    )
    groups = broker.owned(worker.id)
    if groups:
        broker.cancel(groups, signal.SIGTERM, 0)
        broker.commit(groups)
    broker.dismiss(worker.id)
    host.remove_life(broker, worker.token)


def _may_end(worker: WorkerRecord, here: Host) -> bool:
    """Whether we can end what a worker may have left, before its tasks run again.

    In a shared queue it may be another member's; after another boot nothing is left of it.
    """
    return worker.boot != here.boot or trust.may_run_as(trust.user_name(), worker.user)


def _end_leftovers(tasks: list[Task], worker: WorkerRecord) -> bool:
    """Kill what the tasks left; whether all of it has gone."""
    if os.environ.get(leftovers.MARK) == worker.token:
        return False  # we are one of them
    leaders = [
        Leader(task.pid, task.pid_started, task.session == task.pid)
        for task in tasks
        if task.pid is not None and task.pid_started is not None
    ]
    if leftovers.end(leaders, worker.token, time.monotonic() + _PATIENCE):
        return True
    log.info("worker %s died; what it left is still ending", worker.name)
    return False
