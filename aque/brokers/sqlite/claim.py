"""Own how a worker gets tasks: O(kinds x log n), whatever the number of tasks that wait.

Tasks with equal requirements are of one kind (HTCondor calls it an autocluster), so whether one may
run is asked once a kind, not once a task. The partial index task_ready begins with the kind: the
kinds that have ready tasks are found by skipping through it, and the best of a kind is its first
entry: the cost is the same with ten thousand pending as with a million, and claims in batches of
eight are three times as fast as one by one (`bin/bench throughput`). The statements repeat the
index's WHERE word for word, since with bound parameters SQLite would not use it (13 ms, not 22 us).

Rejected: one index over all tasks with the requirements looked up row by row (a thousand tasks for
another host at the head of the line cost every claim a thousand rows), and claiming ahead of free
slots (a slow worker would sit on what an idle one could run).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from aque import bell, states, task
from aque.brokers.claims import Candidate, Choose, Claim, Limit
from aque.brokers.sqlite import graph, shared
from aque.brokers.sqlite.latest import OUTCOME, PROCESS, cleared
from aque.brokers.sqlite.sizes import batches
from aque.brokers.sqlite.transaction import Row, Rows, Transaction, placeholders
from aque.requirements import REQUIREMENT_KEYS, Requirements, parse_limits
from aque.task import Task

_READY = "status = 'pending' AND waiting = 0 AND due_at IS NULL"
_FIRST_KIND = f"SELECT min(requirements) FROM task WHERE {_READY}"
# Each step seeks the next kind in the index, so it costs a seek a kind.
_KINDS = f"""
WITH RECURSIVE kind (id) AS (
    {_FIRST_KIND}
    UNION ALL
    SELECT (SELECT min(requirements) FROM task WHERE {_READY} AND requirements > kind.id)
    FROM kind WHERE kind.id IS NOT NULL
)
SELECT id FROM kind WHERE id IS NOT NULL
"""
_HEADS = f"""
SELECT id, priority, duration FROM task WHERE {_READY} AND requirements = ?
ORDER BY priority DESC, duration DESC, id LIMIT ?
"""
_DUE = "UPDATE task SET due_at = NULL WHERE status = 'pending' AND due_at <= ?"
_DUE_GROUPS = "SELECT id FROM task WHERE status = 'pending' AND due_at <= ? AND pattern IS NULL"
_NEXT_DUE = "SELECT min(due_at) FROM task WHERE status = 'pending' AND due_at IS NOT NULL"
_USED = """
SELECT total(r.cpus), total(r.memory)
FROM task AS t JOIN requirements AS r ON r.id = t.requirements
WHERE t.status = 'running' AND t.started_at IS NOT NULL AND t.worker IN (
    SELECT w.id FROM worker AS w JOIN worker AS me ON me.id = ?
    WHERE w.ended_at IS NULL AND w.boot = me.boot AND w.pid_namespace = me.pid_namespace)
"""
_RUNNING_MOUNTS = """
SELECT r.mounts, count(*) FROM task AS t JOIN requirements AS r ON r.id = t.requirements
WHERE t.status = 'running' AND r.mounts IS NOT NULL AND t.worker IN (
    SELECT w.id FROM worker AS w JOIN worker AS me ON me.id = ?
    WHERE w.ended_at IS NULL AND w.boot = me.boot AND w.pid_namespace = me.pid_namespace)
GROUP BY r.mounts
"""
_USED_LIMITS = """
SELECT r.limits, count(*) FROM task AS t JOIN requirements AS r ON r.id = t.requirements
WHERE t.status = 'running' AND t.started_at IS NOT NULL AND r.limits IS NOT NULL GROUP BY r.limits
"""
_IS_MEMBER = "SELECT 1 FROM worker WHERE id = ? AND ended_at IS NULL"
_START = f"""
UPDATE task SET status = 'running', attempt = attempt + 1, worker = ?, started_at = ?, changed = ?,
{cleared(OUTCOME)}
WHERE id IN ({{}}) AND status = 'pending' AND waiting = 0
"""
#: What a start makes of a row, beside worker, started_at and changed; a pending one has not ended.
_AS_STARTED = {
    **dict.fromkeys((*PROCESS, *OUTCOME)),
    "status": states.RUNNING, "waiting": 0, "due_at": None, "ended_at": None,
}  # fmt: skip
_KNOWN = {*_AS_STARTED, *REQUIREMENT_KEYS, "changed"}
_OWN = [key for key in task.KEYS if key not in _KNOWN]
_FETCH = f"SELECT requirements, {', '.join(_OWN)} FROM task WHERE id IN ({{}})"
#: So many at least are compared with the first of them, in all but what differs among calls that
#: are submitted by the thousand.
_MANY = 4
_VARYING = ["id", "args", "kwargs", "created_at"]
_LIKE = [key for key in _OWN if key not in _VARYING]
_FETCH_LIKE = f"""
SELECT {", ".join(_VARYING)} FROM task WHERE id IN ({{}})
AND (requirements, {", ".join(_LIKE)}) IS ({", ".join("?" * (len(_LIKE) + 1))})
"""


class _Offer:
    """What can be claimed, read lazily inside the transaction."""

    def __init__(self, tx: Transaction, worker: int, known: dict[int, Requirements]) -> None:
        self.behind: set[int] = set()
        self._tx = tx
        self._worker = worker
        self.now = time.monotonic()
        self.kinds: Mapping[int, Requirements] = _kinds(tx.rows, known)

    def heads(self, kind: int, count: int) -> Sequence[Candidate]:
        return list(map(Candidate._make, self._tx.rows(_HEADS, (kind, count))))

    def used(self) -> tuple[float, int]:
        ((cpus, memory),) = self._tx.rows(_USED, (self._worker,))
        return cpus, int(memory)

    def limits(self) -> Mapping[str, Limit]:
        return limits(self._tx.rows)

    def leave_behind(self, id: int) -> None:
        self.behind.add(id)

    def running_mounts(self) -> Sequence[tuple[str, int]]:
        return [(text, count) for text, count in self._tx.rows(_RUNNING_MOUNTS, (self._worker,))]


def limits(rows: Rows) -> dict[str, Limit]:
    """Return the capacity of each limit, and what running tasks of all hosts take of it."""
    capacities: dict[str, int] = dict(rows('SELECT name, capacity FROM "limit" ORDER BY name'))
    used: Counter[str] = Counter()
    for text, count in rows(_USED_LIMITS):
        for name, tokens in parse_limits(text).items():
            used[name] += tokens * count
    names = dict.fromkeys([*capacities, *used])
    return {name: Limit(capacities.get(name, 0), used[name]) for name in names}


def heads(rows: Rows, known: dict[int, Requirements]) -> list[tuple[Candidate, Requirements]]:
    """Return the best ready task of each kind, and what it needs."""
    return [
        (Candidate(*rows(_HEADS, (kind, 1))[0]), need) for kind, need in _kinds(rows, known).items()
    ]


def claim(tx: Transaction, worker: int, choose: Choose, known: dict[int, Requirements]) -> Claim:
    """Claim what `choose` takes; `known` remembers requirements, which never change."""
    due_at = _let_due_begin(tx)
    if not tx.rows(_IS_MEMBER, (worker,)):
        return Claim((), due_at, tx.number, is_dismissed=True)
    offer = _Offer(tx, worker, known)
    chosen = list(choose(offer))
    tasks: dict[int, Task] = {}
    for ids, started_at in (
        ([id for id in chosen if id not in offer.behind], tx.now),
        ([id for id in chosen if id in offer.behind], None),
    ):
        started = _start(tx, worker, ids, started_at)
        tasks.update(_fetch(tx, ids, started, offer.kinds))
    return Claim([tasks[id] for id in chosen], due_at, tx.number)


def _start(
    tx: Transaction, worker: int, ids: Sequence[int], started_at: float | None
) -> dict[str, Any]:
    """Mark tasks as running; return what is known of each of them now."""
    changed = tx.next_changed() if ids else 0
    started = 0
    for batch in batches(ids):
        values = (worker, started_at, changed, *batch)
        started += tx.execute(_START.format(placeholders(batch)), values).rowcount
    assert started == len(ids), "a task offered in this transaction cannot be gone"
    return {**_AS_STARTED, "worker": worker, "started_at": started_at, "changed": changed}


def _fetch(
    tx: Transaction,
    ids: Sequence[int],
    started: Mapping[str, Any],
    kinds: Mapping[int, Requirements],
) -> dict[int, Task]:
    """Return, by id, tasks that were just started: half of their columns need not be read."""
    known = {
        kind: {**dict.fromkeys(task.KEYS), **need.__dict__, **started}
        for kind, need in kinds.items()
    }
    found: dict[int, Task] = {}
    if len(ids) >= _MANY:
        (row,) = tx.rows(_FETCH.format("?"), ids[:1])
        found = _fetch_like(tx, row, task.from_row(row[1:], _OWN, known[row[0]]), ids)
    for kind, *values in tx.rows_in(_FETCH, [id for id in ids if id not in found]):
        found[values[0]] = task.from_row(values, _OWN, known[kind])
    return found


def _fetch_like(tx: Transaction, row: Row, first: Task, ids: Sequence[int]) -> dict[int, Task]:
    """Return those that are like the first but for what varies, of which no more is read.

    To compare a column takes a tenth of the time of reading it.
    """
    like = [value for key, value in zip(("requirements", *_OWN), row) if key not in _VARYING]
    return {
        id: task.alike(first, id=id, args=args, kwargs=kwargs, created_at=created_at)
        for batch in batches(ids)
        for id, args, kwargs, created_at in tx.rows(
            _FETCH_LIKE.format(placeholders(batch)), (*batch, *like)
        )
    }


def share_room(tx: Transaction, ended: int, started: int) -> None:
    """Wake other workers where a worker has ended more than it started, and left something ready.

    What it does not use of the room may be all that one of theirs waits for.
    """
    if ended > started and tx.rows(_FIRST_KIND)[0][0] is not None:
        tx.rings.add(bell.READY)


def _let_due_begin(tx: Transaction) -> float | None:
    """Clear the start times that have come, and end the groups that only waited for theirs.

    Returns the next.
    """
    due_at = _next_due(tx)
    if due_at is None or due_at > tx.now:
        return due_at
    groups = [row[0] for row in tx.rows(_DUE_GROUPS, (tx.now,))]
    tx.execute(_DUE, (tx.now,))
    graph.settle(tx, groups)
    return _next_due(tx)


def _next_due(tx: Transaction) -> float | None:
    ((due_at,),) = tx.rows(_NEXT_DUE)
    return None if due_at is None else float(due_at)


def _kinds(rows: Rows, known: dict[int, Requirements]) -> Mapping[int, Requirements]:
    kinds = {}
    for (kind,) in rows(_KINDS):
        if kind not in known:
            known[kind] = shared.fetch_requirements(rows, kind)
        kinds[kind] = known[kind]
    return kinds
