"""Own the head of the screen: the workers, the machine, and how far the queue is."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping

from aque import states
from aque.brokers.base import Broker
from aque.commands import lines, lost, standstill, terminal
from aque.commands.watch.cells import Row
from aque.report import WorkerRecord
from aque.worker import host, meter

#: In this order the states are told.
_TOLD = (
    states.RUNNING, states.PENDING, states.PAUSED, states.CREATING,
    states.SUCCESS, states.ERROR, states.CANCELLED,
)  # fmt: skip


class Header:
    """Looks at workers and machine, and writes the lines above the list."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._name = terminal.place(broker.to_url())
        self._here = host.this_host()
        self._workers: list[WorkerRecord] = []
        self.dead = lost.NOBODY
        self._idle: Counter[str] = Counter()  # by why they start nothing
        self._machine = ""
        self._load = (0.0, 0.0, 0.0)

    def look(self) -> None:
        """Find out who works, and how busy this machine is since the last look."""
        self._workers = self._broker.workers()
        self.dead = lost.dead_workers(self._broker, self._workers)
        alive = [worker for worker in self._workers if worker.id not in self.dead]
        self._idle = Counter(filter(None, (standstill.note(w, self._here) for w in alive)))
        self._machine, self._load = _machine(), os.getloadavg()

    def local(self) -> set[int]:
        """Return the ids of the workers whose processes can be looked at from here."""
        return {worker.id for worker in self._workers if self._here.is_home_of(worker)}

    def rows(self, counts: Mapping[str, int], rate: float, width: int) -> Iterator[Row]:
        """Write the head; `rate` is how many tasks ended in the last minute."""
        clock = time.strftime("%H:%M:%S")
        room = max(1, width - len(f"aque  {clock}"))
        name = self._name if len(self._name) <= room else "..." + self._name[3 - room :]
        yield [(f"aque {name.ljust(room)} ", "bold"), (clock, "")]
        workers = self._said_workers(counts.get(states.RUNNING, 0))
        load = " ".join(f"{each:.2f}" for each in self._load[: 3 if width > 95 else 1])
        yield [(f"{workers}; {self._machine}, load {load}", "")]
        total = sum(counts.values())
        said: list[tuple[str, str]] = [(f"{total:,} {'task' if total == 1 else 'tasks'}", "bold")]
        for status in _TOLD:
            if counts.get(status):
                said += [(": " if len(said) == 1 else ", ", ""),
                         (f"{counts[status]:,} {status}", status)]  # fmt: skip
        yield said
        has_workers = len(self._workers) > len(self.dead) + self._idle.total()
        yield [(said_rate(counts, rate, has_workers), "")]

    def _said_workers(self, running: int) -> str:
        alive = [worker for worker in self._workers if worker.id not in self.dead]
        if not alive:
            said = "no worker"
        else:
            slots = sum(worker.slots for worker in alive)
            noun = "worker" if len(alive) == 1 else "workers"
            said = f"{len(alive)} {noun}, {running:,} of {slots:,} slots"
            said += "".join(f", {count} {why}" for why, count in sorted(self._idle.items()))
        return said + (f", {len(self.dead)} dead" if self.dead else "")


def said_rate(counts: Mapping[str, int], rate: float, has_workers: bool) -> str:
    """Say how many tasks end a minute, and when at that rate none will be left."""
    left = sum(counts.get(status, 0) for status in (states.PENDING, states.RUNNING))
    said = f"{rate:,.0f} a minute"
    if not left:
        return f"{said}; nothing left to do" if sum(counts.values()) else said
    if rate < 1 or not has_workers:
        return said
    return f"{said}; empty in about {lines.duration(60 * left / rate)}"


def _machine() -> str:
    """Say how busy this machine has been since this was asked last."""
    cpu, used, total = meter.machine()
    return f"cpu {cpu:.0f}%, memory {lines.size(used)} of {lines.size(total)}"
