"""Own what `aque-status --why` says: a task's state, and for a ready one the policy's words."""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from aque import mounts, states, trust
from aque.brokers.base import Broker
from aque.brokers.claims import Limit
from aque.commands import lines, lost, standstill, terminal
from aque.record import replace
from aque.report import WorkerRecord
from aque.requirements import parse_limits
from aque.schedule.eligible import Claimant, claimant_of, need_of
from aque.schedule.resources import Resources
from aque.schedule.why import Seat, Situation, reasons
from aque.task import Task
from aque.worker import host, liveness, reserve

#: Tasks that are explained at a time, and ids that are named.
_MOST, _NAMED = 20, 5


def show(broker: Broker, ids: Sequence[int]) -> None:
    """Print each task and, below it, why it is not running."""
    for id in ids[:_MOST]:
        print("\n".join(describe(broker, id)))
    sys.stdout.flush()
    if len(ids) > _MOST:
        terminal.tell(f"... and {len(ids) - _MOST:,} more; name up to {_MOST}")


def describe(broker: Broker, id: int) -> list[str]:
    """Return lines that say what a task is, and below it why it is not running."""
    (shown,) = broker.fetch([id])
    reasons = [f"  {terminal.safe(reason)}" for reason in explain(broker, shown)]
    return [f"{shown.id} {shown.status}  {lines.label(shown)}", *reasons]


def explain(broker: Broker, shown: Task) -> list[str]:
    """Return why a task is not running, a reason a line."""
    died = lost.explain(shown, lost.dead_workers(broker))
    if died:
        return [died]
    if shown.status == states.RUNNING:
        stopped = ", and is stopped; aque-resume lets it go on" if shown.stopped_at else ""
        held = [*_stalled(broker, shown), *_stopped_worker(broker, shown)]
        return [f"it is running{stopped}", *held]
    if shown.is_complete:
        return [f"it has ended: {shown.status}{f' ({shown.error})' if shown.error else ''}"]
    found = []
    if shown.status == states.CREATING:
        found.append("it is still being put together by its aque-xargs")
    if shown.status == states.PAUSED:
        found.append(f"it is paused; aque-resume {shown.id} lets it go on")
    if shown.waiting:
        found.append(_waits_for(broker, shown))
    if shown.due_at is not None and shown.due_at > time.time():
        found.append(
            f"it starts in {lines.duration(shown.due_at - time.time())}, at {_clock(shown)}"
        )
    if found or shown.is_group:
        return found
    return reasons(shown.id, need_of(shown), situation(broker, shown))


def _stalled(broker: Broker, shown: Task) -> Iterator[str]:
    """Say of what output there is no room for more."""
    for stream in ("stdout", "stderr"):
        path = broker.output_path(shown.id, shown.attempt, stream)
        if os.path.exists(path) and not reserve.room(os.statvfs(path)):
            size = lines.size(os.path.getsize(path))
            yield (
                f"what it writes waits: the disk of {path} ({size}) is as good as full; "
                f"free some room, or aque-kill {shown.id} ends it"
            )


def _stopped_worker(broker: Broker, shown: Task) -> list[str]:
    """Say that who runs a task is stopped, so that its end would not be noticed."""
    here = host.this_host()
    known = broker.workers([shown.worker or 0])
    return [standstill.explain(w, here) for w in known if standstill.is_stopped(w, here)]


def situation(broker: Broker, shown: Task) -> Situation:
    """Look at all that decides about a ready task."""
    here, known = host.this_host(), broker.workers()
    running = sorted((t for w in known for t in broker.running(w.id)), key=lambda t: t.id)
    workers = [w for w in known if not liveness.is_gone(broker, w, here)]
    holders = defaultdict(list)
    for held in running:
        for name in parse_limits(held.limits):
            holders[name].append(held.id)
    limits = broker.limits()
    usable = [w for w in workers if w.kind == "worker" or w.id == shown.reserved]
    idle = [sentence for w in usable if (sentence := standstill.explain(w, here))]
    usable = [w for w in usable if not standstill.note(w, here)]
    return Situation(
        [_seat(worker, workers, running, limits) for worker in usable], limits, holders,
        broker.ahead(shown), broker.heads(), _work_left(running),
        sum({_home(worker): worker.cpus for worker in sorted(usable, key=_cpus)}.values()),
        None if usable else _claimant_here(here), idle,
    )  # fmt: skip


def _claimant_here(here: host.Host) -> Claimant:
    """Return what a worker would be that we started."""
    whole = Resources(here.cpus, here.memory, 1)
    return Claimant(
        0, trust.user_name(), False, whole, whole, host.names(), here.platform,
        mounts=mounts.visible(mounts.table()),
    )  # fmt: skip


def _home(worker: WorkerRecord) -> tuple[str, str]:
    return worker.boot, worker.pid_namespace


def _cpus(worker: WorkerRecord) -> float:
    return worker.cpus


def _work_left(running: list[Task]) -> float | None:
    """Return the cpu seconds that these are expected to take yet; None where nobody knows."""
    now, left = time.time(), 0.0
    for held in running:
        if held.cpus and not held.duration:
            return None
        started = held.started_at or now
        left += held.cpus * max(0.0, held.duration - (now - started))
    return left


def _seat(
    worker: WorkerRecord,
    workers: list[WorkerRecord],
    running: list[Task],
    limits: Mapping[str, Limit],
) -> Seat:
    """Return a worker as the claim would see it, from what the queue knows."""
    neighbours = {w.id for w in workers if _home(w) == _home(worker)}
    there = [held for held in running if held.worker in neighbours]
    own = [held for held in there if held.worker == worker.id]
    whole = Resources(worker.cpus, worker.memory, worker.slots)
    free = Resources(
        whole.cpus - sum(held.cpus for held in own),
        whole.memory - sum(held.memory for held in own),
        worker.slots - len(own),
    )
    cpus = max(w.cpus for w in workers if w.id in neighbours)
    memory = max(w.memory for w in workers if w.id in neighbours)
    used_cpus = sum(held.cpus for held in there)
    used_memory = sum(held.memory for held in there)
    is_here = host.this_host().is_home_of(worker)
    claimant = claimant_of(worker, free, mounts.visible(mounts.table()) if is_here else None)
    free = replace(
        free.capped(cpus - used_cpus, memory - used_memory),
        tokens={name: limit.capacity - limit.used for name, limit in limits.items()},
    )
    holders = [held.id for held in there if held.cpus or held.memory]
    capacities = {name: limit.capacity for name, limit in limits.items()}
    return Seat(worker.name, claimant, free, holders, capacities)


def _waits_for(broker: Broker, shown: Task) -> str:
    edges = broker.edges([shown.id])
    statuses = broker.statuses([edge.dependency for edge in edges])
    left = [id for id, status in statuses.items() if status not in states.COMPLETE_STATES]
    named = ", ".join(map(str, sorted(left)[:_NAMED]))
    more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    return f"it waits for {len(left)} of {len(edges)}: {named}{more}"


def _clock(shown: Task) -> str:
    """Say when it may start: the time of day, and the date where that is another day's."""
    at = time.localtime(shown.due_at)
    is_today = at[:3] == time.localtime()[:3]
    return time.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M", at)
