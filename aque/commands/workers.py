"""Own the list of workers that `aque-status --workers` shows."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from aque.brokers.base import Broker
from aque.commands import lines, rendering, standstill, terminal
from aque.report import WorkerRecord
from aque.worker import host, liveness

#: What of a record is nobody's but a worker's own: what marks its jobs would give them away.
_SECRET = ("token",)


def show(broker: Broker, color: str, as_json: bool) -> None:
    """Print the workers that have not said goodbye, and which of them are dead all the same."""
    screen = terminal.look(color)
    here, now = host.this_host(), time.time()
    workers = broker.workers()
    if as_json:
        print(json.dumps([_record(broker, worker, here) for worker in workers], indent=1))
        return
    if not workers:
        print(standstill.said_none(workers), file=sys.stderr)
    rows = [_row(broker, worker, here, now) for worker in workers]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        print(screen.fit(text, screen.width))


def _record(broker: Broker, worker: WorkerRecord, here: host.Host) -> dict[str, Any]:
    """Return a worker's keys with values that JSON can hold."""
    kept = {key: value for key, value in vars(worker).items() if key not in _SECRET}
    ids = [task.id for task in broker.running(worker.id)]
    at = {key: kept[key] for key in ("started_at", "draining_at") if kept[key] is not None}
    instants = {key: rendering.instant(instant) for key, instant in at.items()}
    is_dead = liveness.is_gone(broker, worker, here)
    is_stopped = standstill.is_stopped(worker, here)
    return {**kept, **instants, "running": ids, "is_dead": is_dead, "is_stopped": is_stopped}


def _row(broker: Broker, worker: WorkerRecord, here: host.Host, now: float) -> tuple[str, ...]:
    is_dead = liveness.is_gone(broker, worker, here)
    state = standstill.note(worker, here) or "up"
    return (
        str(worker.id),
        worker.kind,
        "dead" if is_dead else f"{state} {lines.duration(now - worker.started_at)}",
        f"{len(broker.running(worker.id))} of {worker.slots} slots",
        f"{worker.cpus:g} cpus",
        f"pid {worker.pid}",
        terminal.safe(worker.user),
        terminal.safe(worker.name),
    )
