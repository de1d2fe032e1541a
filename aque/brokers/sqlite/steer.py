"""Own what people do to tasks that are there: commit, cancel, signal, retry, remove."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from aque import bell, states
from aque.brokers.questions import Request
from aque.brokers.sqlite import finish, graph, shared
from aque.brokers.sqlite.graph import FAILED, UNFINISHED, WAITING, among
from aque.brokers.sqlite.latest import OUTCOME, PROCESS, REST, cleared
from aque.brokers.sqlite.transaction import Transaction
from aque.errors import DependencyResolutionError, StateError

_COMMIT = """
UPDATE task SET status = 'pending', owner = NULL, changed = ? WHERE id = ? AND status = 'creating'
"""
_CANCEL_RUNNING = """
UPDATE task SET cancel_at = ?, cancel_signal = ?, cancel_grace = ?
WHERE status = 'running' AND id IN ({})
"""
_CANCEL_WAITING = f"UPDATE task SET cancel_at = ? WHERE status {WAITING} AND id IN ({{}})"
_CANCEL_WAITING_ONE = f"{_CANCEL_WAITING.format('?')} AND cancel_at IS NULL"
_CANCEL_NO_MORE = f"UPDATE task SET cancel_at = NULL WHERE id = ? AND status {WAITING}"
_RUNNING = "SELECT id FROM task WHERE id IN ({}) AND status = 'running'"
_SIGNAL = """
INSERT INTO signal (task, attempt, signal) SELECT id, attempt, ? FROM task WHERE id IN ({})
"""
_UNFINISHED_CHILDREN = f"SELECT id FROM task WHERE parent IN ({{}}) AND status {UNFINISHED}"
_FAILED_CHILDREN = f"SELECT id FROM task WHERE parent IN ({{}}) AND status {FAILED}"
CANCELLING = """
SELECT id, attempt, cancel_signal, cancel_grace FROM task
WHERE status = 'running' AND worker = ? AND cancel_at IS NOT NULL
"""
SIGNALS = """
SELECT s.number, s.task, s.attempt, s.signal FROM task AS t JOIN signal AS s ON s.task = t.id
WHERE t.status = 'running' AND t.worker = ? ORDER BY s.number
"""
_STATUS = "SELECT id, status FROM task WHERE id IN ({})"
_CAUSE = "SELECT id, cause FROM task WHERE id IN ({})"
#: A group's progress_total is no attempt's: how much it will have is known once its input ended.
_RETRY = f"""
UPDATE task SET status = 'pending', waiting = 0, retried = 0, crashes = 0, changed = ?,
{cleared(key for key in (*PROCESS, *OUTCOME, *REST) if key != "progress_total")},
progress_total = CASE WHEN pattern IS NULL THEN progress_total END
WHERE status {among(states.COMPLETE_STATES)} AND id IN ({{}})
"""
_RESERVED = """
SELECT t.requirements, t.id FROM task AS t JOIN requirements AS r ON r.id = t.requirements
JOIN worker AS w ON w.id = r.reserved WHERE w.ended_at IS NOT NULL AND t.id IN ({})
"""
_MISSING_DEPENDENCIES = """
SELECT d.task, d.dependency FROM dependency AS d WHERE d.kind <> 'child' AND d.task IN ({})
AND NOT EXISTS (SELECT 1 FROM task WHERE id = d.dependency)
"""
_HAVE_FAILED_CHILD = f"""
SELECT DISTINCT parent FROM task WHERE status {FAILED} AND parent IN ({{}})
"""
_HAVE_FAILED_DEPENDENCY = f"""
SELECT DISTINCT d.task FROM dependency AS d JOIN task AS t ON t.id = d.dependency
WHERE d.kind = 'after' AND t.status {FAILED} AND d.task IN ({{}})
"""
_BLOCKERS = f"""
SELECT d.dependency, d.task, t.status FROM dependency AS d JOIN task AS t ON t.id = d.task
WHERE t.status {UNFINISHED} AND d.dependency IN ({{}})
"""
_FORGET = "DELETE FROM task WHERE id IN ({})"
_ALL_OUTPUT_FILES = "SELECT task, attempt, stream FROM output WHERE data IS NULL"
_OUTPUT_FILES = f"{_ALL_OUTPUT_FILES} AND task IN ({{}})"


def commit(tx: Transaction, ids: Sequence[int]) -> None:
    for id in ids:
        tx.execute(_COMMIT, (tx.next_changed(), id))
    graph.settle(tx, ids)
    tx.rings.add(bell.READY)


def cancel(tx: Transaction, ids: Sequence[int], signal: int, grace: float) -> None:
    family = sorted(_with_children(tx, ids, _UNFINISHED_CHILDREN))
    tx.expect(len(family))
    ended = graph.end_settled(tx, family, tx.now)
    others = sorted(set(family).difference(ended))
    tx.execute_in(_CANCEL_RUNNING, (tx.now, signal, grace), others)
    tx.execute_in(_CANCEL_WAITING, (tx.now,), others)  # it ends after its children
    graph.ended(tx, ended)
    tx.rings.add(bell.SIGNAL)


def cancel_waiting(tx: Transaction, ids: Sequence[int]) -> None:
    for id in ids:
        if tx.execute(_CANCEL_WAITING_ONE, (tx.now, id)).rowcount:
            graph.settle(tx, [id])
            tx.execute(_CANCEL_NO_MORE, (id,))


def signal(tx: Transaction, ids: Sequence[int], number: int) -> list[int]:
    reached = [id for (id,) in tx.rows_in(_RUNNING, ids)]
    tx.execute_in(_SIGNAL, (number,), reached)
    tx.rings.add(bell.SIGNAL)
    return reached


def take_signals(tx: Transaction, worker: int) -> list[Request]:
    rows = tx.rows(SIGNALS, (worker,))
    tx.executemany("DELETE FROM signal WHERE number = ?", [row[:1] for row in rows])
    return [Request(id, attempt, number) for _, id, attempt, number in rows]


def retry(tx: Transaction, ids: Sequence[int]) -> None:
    statuses: dict[int, str] = dict(tx.rows_in(_STATUS, ids))
    for id in ids:
        if statuses[id] not in states.COMPLETE_STATES:
            raise StateError(f"task {id} is {statuses[id]}; only one that has ended can be retried")
    family = sorted(_with_children(tx, ids, _FAILED_CHILDREN))
    tx.expect(len(family))
    _refuse_missing_dependency(tx, family)
    causes: dict[int, int | None] = dict(tx.rows_in(_CAUSE, family))
    for is_caused, run in groupby(family, key=lambda id: causes[id] is not None):
        if is_caused:
            _retry_caused(tx, list(run))
        else:
            _retry_ended(tx, list(run))
    _refuse_failed_dependencies(tx, ids, family)
    graph.settle(tx, family)
    tx.rings.add(bell.READY)


def _retry_caused(tx: Transaction, ids: Sequence[int]) -> None:
    """Retry what failed by others, one after the other: most are revived by one before them."""
    for id in ids:
        ((_, status),) = tx.rows_in(_STATUS, [id])
        if status in states.COMPLETE_STATES:
            _retry_ended(tx, [id])


def _retry_ended(tx: Transaction, ids: Sequence[int]) -> None:
    _open_requirements(tx, ids)
    retry_as_they_are(tx, ids)
    graph.reopened(tx, ids)


def retry_as_they_are(tx: Transaction, ids: Sequence[int]) -> None:
    """Make ended tasks pending, keeping their attempts; `graph.reopened` is yet to count them."""
    finish.archive(tx, ids, None, None)
    tx.execute_in(_RETRY, (tx.next_changed(),), ids)


def remove(tx: Transaction, ids: Sequence[int]) -> list[tuple[int, int, str]]:
    """Remove tasks and their children; return what `forget` does."""
    family = sorted(_with_children(tx, ids, "SELECT id FROM task WHERE parent IN ({})"))
    tx.expect(len(family))
    _refuse_needed(tx, family)
    return forget(tx, family)


def forget(tx: Transaction, ids: Sequence[int]) -> list[tuple[int, int, str]]:
    """Remove just these; return the (id, attempt, stream) whose output went on in a file."""
    files: list[tuple[int, int, str]] = tx.rows_in(_OUTPUT_FILES, ids)
    for kind in shared.KINDS:
        for used, count in _uses(tx, kind, ids).items():
            shared.use(tx, kind, used, -count)
    tx.execute_in(_FORGET, (), ids)
    tx.executemany("INSERT INTO removed VALUES (?, ?)", [(tx.next_changed(), id) for id in ids])
    shared.drop_unused(tx)
    return files


def _uses(tx: Transaction, kind: str, ids: Sequence[int]) -> Counter[int]:
    """Return how often each shared row of a kind is used by these tasks."""
    sql = f"SELECT {kind}, count(*) FROM task WHERE id IN ({{}}) GROUP BY {kind}"
    counts: Counter[int] = Counter()
    for used, count in tx.rows_in(sql, ids):
        counts[used] += count
    return counts


def reset(tx: Transaction) -> list[tuple[int, int, str]]:
    """Empty all tables but the settings and the sequence; return what `remove` does."""
    files: list[tuple[int, int, str]] = tx.rows(_ALL_OUTPUT_FILES)
    gone = tx.rows("SELECT id FROM task")
    tables = "removed signal output attempt dependency task worker environment requirements uses"
    for table in tables.split():
        tx.execute(f"DELETE FROM {table}")
    tx.executemany("INSERT INTO removed VALUES (?, ?)", [(tx.next_changed(), id) for (id,) in gone])
    return files


def _with_children(tx: Transaction, ids: Iterable[int], children_of: str) -> set[int]:
    family: set[int] = set()
    level = set(ids)
    while level:
        family |= level
        level = {id for (id,) in tx.rows_in(children_of, sorted(level))} - family
    return family


def _refuse_missing_dependency(tx: Transaction, ids: Sequence[int]) -> None:
    for id, missing in sorted(tx.rows_in(_MISSING_DEPENDENCIES, ids))[:1]:
        raise DependencyResolutionError(
            f"task {id} depends on task {missing}, which was removed; submit it anew"
        )


def _refuse_failed_dependencies(tx: Transaction, ids: Sequence[int], family: Sequence[int]) -> None:
    failed = tx.rows_in(_HAVE_FAILED_CHILD, family) + tx.rows_in(_HAVE_FAILED_DEPENDENCY, family)
    for (id,) in sorted(failed)[:1]:
        named = id if id in ids else " ".join(map(str, ids))
        raise StateError(
            f"task {id} needs tasks that have failed; aque-retry -r {named} retries them too"
        )


def _open_requirements(tx: Transaction, ids: Sequence[int]) -> None:
    """Take from tasks the reservation for a worker that has ended."""
    reserved: dict[int, list[int]] = {}
    for needs, id in tx.rows_in(_RESERVED, ids):
        reserved.setdefault(needs, []).append(id)
    for needs, users in reserved.items():
        opened = shared.change_requirements(tx, needs, len(users), reserved=None)
        tx.execute_in("UPDATE task SET requirements = ? WHERE id IN ({})", (opened,), users)


def _refuse_needed(tx: Transaction, ids: Sequence[int]) -> None:
    """Refuse to remove what runs, or what is needed by others than these."""
    removing = set(ids)
    reasons: dict[int, str] = {}
    for dependency, task, status in tx.rows_in(_BLOCKERS, ids):
        if task not in removing:
            reasons.setdefault(dependency, f"is needed by task {task}, which is {status}")
    reasons.update(
        (id, f"is running; aque-kill {id} ends it") for (id,) in tx.rows_in(_RUNNING, ids)
    )
    for id in sorted(reasons)[:1]:
        raise StateError(f"task {id} {reasons[id]}")
