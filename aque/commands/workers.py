"""Own the list of workers that `aque-status --workers` shows."""

from __future__ import annotations

import time

from aque.brokers.base import Broker
from aque.commands import lines, terminal
from aque.report import WorkerRecord
from aque.worker import host, liveness


def show(broker: Broker, color: str) -> None:
    """Print the workers that have not said goodbye, and which of them are dead all the same."""
    screen = terminal.look(color)
    here, now = host.this_host(), time.time()
    rows = [_row(broker, worker, here, now) for worker in broker.workers()]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        print(screen.fit(text, screen.width))


def _row(broker: Broker, worker: WorkerRecord, here: host.Host, now: float) -> tuple[str, ...]:
    is_dead = liveness.is_gone(broker, worker, here)
    return (
        str(worker.id),
        worker.kind,
        "dead" if is_dead else f"up {lines.duration(now - worker.started_at)}",
        f"{len(broker.running(worker.id))} running",
        f"{worker.cpus:g} cpus",
        f"pid {worker.pid}",
        terminal.safe(worker.user),
        terminal.safe(worker.name),
    )
