"""Own who among the workers of a queue is dead, as far as it can be known from here.

A worker of this host (same boot, same pid namespace) is asked of the kernel: it holds a lock on a
file for as long as it lives (host.py). So is every worker of a queue on a local disk, since one
kernel serves that, whatever containers its workers are in. There is no doubt, and no waiting.

A queue on a shared disk has workers of other hosts too. Their locks say nothing certain here: many
file systems keep flock to each machine, and a mount of its own has locks of its own. So each
worker there counts up a number, its heartbeat (10 s, a setting), and whoever sees the same number
for six of its own beats takes that worker for dead. No clocks are compared, since they differ. And
time alone proves nothing: an observer that was stopped, a disk that did not answer, a write lock
held for minutes make everybody look dead to everybody. Hence an observer counts beats of its own,
each of which was written to the disk, whoever it is: while it could write, so could the other. How
often, the queue says at each beat; it does not change while workers run (aque-init).

Still a worker may be taken for dead that was only stopped, with its whole machine. It finds out at
its first look after: its attempts are not its own any more, so their processes are killed, and what
they would have reported changes nothing (lookout.py). From then until its next beat it claims
nothing.
Rejected: to have a worker that cannot reach the queue kill its jobs by itself, before others could
take over. It would never let two attempts overlap, and would end a night's work whenever a file
server restarts.
"""

from __future__ import annotations

import time

from aque.brokers.base import Broker
from aque.errors import BrokerError
from aque.report import WorkerRecord
from aque.worker import host, processes
from aque.worker.host import Host

#: So many beats of ours without one of its own, and a worker of another host is dead.
LIMIT = 6


def is_gone(broker: Broker, worker: WorkerRecord, here: Host) -> bool:
    """Whether a worker is known to be dead at once, without watching it."""
    if broker.is_shared and not here.is_home_of(worker):
        return False
    if not host.has_life(broker, worker.token):  # somebody removed the file, perhaps
        return not here.is_home_of(worker) or not _is_running(worker)
    return not host.is_alive(broker, worker.token)


class Observer:
    """Watches the workers of a queue from `here`; as the worker of that id, it beats meanwhile."""

    def __init__(self, broker: Broker, here: Host, worker: int | None = None) -> None:
        self.broker = broker
        self.here = here
        self._worker = worker
        self._beat_at = 0.0 if broker.is_shared else float("inf")
        self._seen: dict[int, tuple[int, int]] = {}  # worker -> its count, our beats since

    def dead(self) -> list[WorkerRecord]:
        """Look once more; return the workers that are dead. To be called again and again."""
        if time.monotonic() >= self._beat_at and self._beat():
            self._count(self.broker.workers())
        return [worker for worker in self.broker.workers() if self._is_dead(worker)]

    def beat_soon(self) -> None:
        """Beat at the next look: we were taken for dead."""
        self._beat_at = 0.0

    def _beat(self) -> bool:
        """Show that we live, and that the queue can be written.

        Who is no worker, and only waits for something, has no use for an error. A worker's beat
        that fails is tried again at its next look.
        """
        is_written = True
        try:
            if not self.broker.beat(self._worker):
                import logging  # slow, and who only looks is never taken for dead

                logging.getLogger("aque.worker").warning("was taken for dead, and goes on")
        except BrokerError:
            if self._worker is not None:
                raise
            is_written = False
        self._beat_at = time.monotonic() + self.broker.settings()["heartbeat"]
        return is_written

    def _count(self, workers: list[WorkerRecord]) -> None:
        before, self._seen = self._seen, {}
        for worker in workers:
            count, beats = before.get(worker.id, (worker.heartbeat, -1))
            same = count == worker.heartbeat
            self._seen[worker.id] = (worker.heartbeat, beats + 1 if same else 0)

    def _is_dead(self, worker: WorkerRecord) -> bool:
        if not self.broker.is_shared or self.here.is_home_of(worker):
            return is_gone(self.broker, worker, self.here)
        count, beats = self._seen.get(worker.id, (worker.heartbeat, 0))
        return count == worker.heartbeat and beats >= LIMIT


def _is_running(worker: WorkerRecord) -> bool:
    process = processes.find(worker.pid)
    is_same = process is not None and process.started == worker.pid_started
    return is_same and process is not None and not process.is_zombie
