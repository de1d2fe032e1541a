"""Own what becomes of a dead worker's tasks: whoever finds it ends what it left, then requeues.

Who is dead, liveness.py tells. What its tasks left running is ended first, or two attempts would
run at once: their sessions, where the leader is still the process that was started (pid and start
time), and every process that carries the worker's token in its environment, which also finds a job
started so late that it was never recorded. Only then the tasks become pending. Whoever else found
the same worker dead loses the race harmlessly: an attempt is requeued once.
"""

from __future__ import annotations

import signal
import time

from aque.brokers.base import Broker
from aque.states import CANCELLED
from aque.task import End, Task, WorkerRecord
from aque.worker import host, processes
from aque.worker.host import Host
from aque.worker.liveness import Observer

MARK = "AQUE_JOB"


def recover(observer: Observer) -> list[int]:
    """Bury every worker that is seen to be dead; return the ids of the tasks that wait again."""
    requeued: list[int] = []
    for worker in observer.dead():
        requeued += bury(observer.broker, worker, observer.here)
    return requeued


def bury(broker: Broker, worker: WorkerRecord, here: Host) -> list[int]:
    """End what a dead worker left, requeue its tasks, and close the groups it was filling."""
    tasks = broker.running(worker.id)
    if here.is_home_of(worker):
        processes.kill_and_wait(_leftovers(tasks, worker))
    killed = [task for task in tasks if task.cancel_at is not None]
    lost = [task for task in tasks if task.cancel_at is None]
    now = time.time()
    broker.finish([End(t.id, t.attempt, CANCELLED, now, error="killed") for t in killed])
    answers = broker.requeue([(t.id, t.attempt) for t in lost], f"worker {worker.name} died")
    groups = broker.owned(worker.id)
    if groups:
        broker.cancel(groups, signal.SIGTERM, 0)
        broker.commit(groups)
    broker.dismiss(worker.id)
    host.remove_life(broker, worker.token)
    return [] if groups else [task.id for task, ours in zip(lost, answers) if ours]


def _leftovers(tasks: list[Task], worker: WorkerRecord) -> list[processes.Process]:
    found = {process.pid: process for process in processes.marked(MARK, worker.token)}
    for task in tasks:
        leader = None if task.pid is None else processes.find(task.pid)
        if leader is None or leader.started != task.pid_started:
            continue
        family = processes.descendants(leader.pid)
        if task.session == leader.pid:
            family += processes.of_session(leader.pid)
        found.update({process.pid: process for process in family})
    return list(found.values())
