"""Own what is said of a task whose worker has died, until somebody recovers it.

Its row still says that it runs, or that it is put together, and to look must not write. So who
looks asks the kernel which of the few workers that have not said goodbye live; of a worker of
another host, on a shared disk, nothing can be known at once, and nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from aque import states
from aque.brokers.base import Broker
from aque.report import WorkerRecord
from aque.task import Task

#: Workers by their ids.
Dead = Mapping[int, WorkerRecord]
NOBODY: Dead = {}
#: Workers that are told of below a listing.
_TOLD = 3


def dead_workers(broker: Broker, known: Sequence[WorkerRecord] | None = None) -> Dead:
    """Return those of the `known` workers, by default of all, that have died without a word."""
    workers = broker.workers() if known is None else known
    if not workers:
        return NOBODY
    from aque.worker import host, liveness

    here = host.this_host()
    gone = {worker.id: worker for worker in workers if liveness.is_gone(broker, worker, here)}
    if not gone:
        return NOBODY
    still = {worker.id for worker in broker.workers()}  # one may have left properly meanwhile
    return {id: worker for id, worker in gone.items() if id in still}


def worker_of(shown: Task, dead: Dead) -> WorkerRecord | None:
    """Return the dead one that runs a task, puts it together, or has it reserved."""
    if shown.is_complete:
        return None
    id = {states.RUNNING: shown.worker, states.CREATING: shown.owner}
    return dead.get(id.get(shown.status, shown.reserved) or 0)


def note(shown: Task, dead: Dead) -> str:
    """Say in a few words who has died; nothing of a task that is well."""
    worker = worker_of(shown, dead)
    return "" if worker is None else f"{'xargs' if worker.kind == 'xargs' else 'worker'} died"


def explain(shown: Task, dead: Dead) -> str:
    """Say in a sentence who has died, and what becomes of the task."""
    worker = worker_of(shown, dead)
    if worker is None:
        return ""
    if worker.kind != "xargs":
        return f"its worker (pid {worker.pid}) is dead; the next worker recovers it"
    group = shown.parent or shown.id
    return f"its aque-xargs (pid {worker.pid}) was killed; aque-xargs --resume {group} goes on"


def tell(shown: Sequence[Task], dead: Dead) -> Iterator[str]:
    """Yield a line for each of the dead that these tasks had, the first few."""
    seen: dict[int, str] = {}
    for task in shown:
        worker = worker_of(task, dead)
        if worker is None or worker.id in seen:
            continue
        if worker.kind == "xargs":
            group = task.parent or task.id
            said = f"the aque-xargs of task {group} (pid {worker.pid}) was killed"
            seen[worker.id] = f"{said}; aque-xargs --resume {group} goes on"
        else:
            seen[worker.id] = f"a worker (pid {worker.pid}) died; the next recovers what it ran"
    yield from list(seen.values())[:_TOLD]
    if len(seen) > _TOLD:
        yield f"so did {len(seen) - _TOLD:,} more; aque-status --workers lists them"
