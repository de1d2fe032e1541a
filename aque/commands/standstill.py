"""Own what is said of workers that start nothing: those that drain, and those that are stopped.

A worker tells the queue that it drains. That one is stopped (Ctrl-Z, SIGSTOP) only the kernel
knows, so it is said of workers of this host alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from aque.brokers.base import Broker
from aque.report import WorkerRecord
from aque.worker import host, membership, processes
from aque.worker.host import Host


def is_stopped(worker: WorkerRecord, here: Host) -> bool:
    """Whether the process of a worker of this host is stopped."""
    if not here.is_home_of(worker):
        return False
    process = processes.find(worker.pid)
    return process is not None and process.is_stopped and process.started == worker.pid_started


def note(worker: WorkerRecord, here: Host) -> str:
    """Say in a word why a living worker starts nothing; nothing of one that may."""
    if is_stopped(worker, here):
        return "stopped"
    return "" if worker.draining_at is None else "draining"


def explain(worker: WorkerRecord, here: Host) -> str:
    """Say in a sentence why a living worker starts nothing; nothing of one that may."""
    if is_stopped(worker, here):
        return f"{called(worker)} is stopped; {remedy(worker)}"
    if worker.draining_at is None:
        return ""
    return f"{called(worker)} is draining: it starts nothing more, and ends when what it runs has"


def awaited(broker: Broker, ids: Collection[int]) -> Iterator[str]:
    """Say of each stopped worker that it has to go on before what it has of these tasks ends."""
    here = host.this_host()
    for worker in broker.workers():
        if not is_stopped(worker, here):
            continue
        held = {task.id for task in broker.running(worker.id)} | {*broker.owned(worker.id)}
        if not held.isdisjoint(ids):
            yield f"waits for {called(worker)}, which is stopped; {remedy(worker)}"


def called(worker: WorkerRecord) -> str:
    name = "aque-xargs" if worker.kind == "xargs" else f"worker {worker.name}"
    return f"{name} (pid {worker.pid})"


def remedy(worker: WorkerRecord) -> str:
    """Say what lets a stopped worker go on."""
    return f"fg or kill -CONT {worker.pid} lets it go on"


def said_none(workers: Sequence[WorkerRecord]) -> str:
    """Say that none of these, which are all there are, starts what is submitted; "" if one may."""
    if any(worker.takes_work for worker in workers):
        return ""
    if any(worker.kind == membership.WORKER for worker in workers):
        return "all workers are draining, and start nothing more; aque-worker starts another"
    return "no worker is running; aque-worker starts one"
