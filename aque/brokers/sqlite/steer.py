"""Own what people do to tasks that are there: commit, cancel, signal, retry, remove."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aque import bell, states
from aque.brokers.questions import Request
from aque.brokers.sqlite import finish, graph, shared
from aque.brokers.sqlite.sizes import batches
from aque.brokers.sqlite.transaction import Transaction, placeholders
from aque.errors import DependencyResolutionError, StateError

_COMMIT = """
UPDATE task SET status = 'pending', owner = NULL, changed = ? WHERE id = ? AND status = 'creating'
"""
_CANCEL_RUNNING = """
UPDATE task SET cancel_at = ?, cancel_signal = ?, cancel_grace = ?
WHERE id IN ({}) AND status = 'running'
"""
_CANCEL_WAITING = """
UPDATE task SET cancel_at = ? WHERE id IN ({}) AND status IN ('creating', 'pending', 'paused')
"""
_CANCEL_WAITING_ONE = f"{_CANCEL_WAITING.format('?')} AND cancel_at IS NULL"
_UNFINISHED_CHILDREN = """
SELECT id FROM task WHERE parent IN ({}) AND status IN ('creating', 'pending', 'paused', 'running')
"""
_FAILED_CHILDREN = "SELECT id FROM task WHERE parent IN ({}) AND status IN ('error', 'cancelled')"
CANCELLING = """
SELECT id, attempt, cancel_signal, cancel_grace FROM task
WHERE status = 'running' AND worker = ? AND cancel_at IS NOT NULL
"""
SIGNALS = """
SELECT s.number, s.task, s.attempt, s.signal FROM task AS t JOIN signal AS s ON s.task = t.id
WHERE t.status = 'running' AND t.worker = ? ORDER BY s.number
"""
_USED = f"SELECT {', '.join(shared.KINDS)} FROM task WHERE id = ?"
_RETRY = """
UPDATE task SET status = 'pending', waiting = ?, cause = NULL, error = NULL, exception = NULL,
result = NULL, exit_status = NULL, exit_signal = NULL, started_at = NULL, ended_at = NULL,
cancel_at = NULL, cancel_signal = NULL, cancel_grace = NULL, user_time = NULL, system_time = NULL,
max_rss = NULL, retried = 0, crashes = 0, due_at = NULL, stopped_at = NULL, worker = NULL,
pid = NULL, pid_started = NULL, session = NULL, owner = NULL, progress_done = NULL,
progress_total = NULL, progress_message = NULL, requirements = ?, changed = ?
WHERE id = ? AND status = ?
"""
_RESERVATION = """
SELECT t.requirements, r.worker, w.ended_at FROM task AS t
JOIN requirements AS r ON r.id = t.requirements LEFT JOIN worker AS w ON w.id = r.worker
WHERE t.id = ?
"""
_BLOCKER = """
SELECT d.task, t.status FROM dependency AS d JOIN task AS t ON t.id = d.task
WHERE d.dependency = ? AND t.status IN ('creating', 'pending', 'paused', 'running')
"""
_ALL_OUTPUT_FILES = "SELECT task, attempt, stream FROM output WHERE data IS NULL"
_OUTPUT_FILES = f"{_ALL_OUTPUT_FILES} AND task = ?"


def commit(tx: Transaction, ids: Sequence[int]) -> None:
    for id in ids:
        tx.execute(_COMMIT, (tx.next_changed(), id))
    graph.ended(tx, [id for id in ids if graph.settle(tx, id)])
    tx.rings.add(bell.READY)


def cancel(tx: Transaction, ids: Sequence[int], signal: int, grace: float) -> None:
    family = _with_children(tx, ids, _UNFINISHED_CHILDREN)
    for batch in batches(sorted(family)):
        some = placeholders(batch)
        tx.execute(_CANCEL_RUNNING.format(some), (tx.now, signal, grace, *batch))
        tx.execute(_CANCEL_WAITING.format(some), (tx.now, *batch))
    graph.ended(tx, [id for id in sorted(family) if graph.settle(tx, id)])
    tx.rings.add(bell.SIGNAL)


def cancel_waiting(tx: Transaction, ids: Sequence[int]) -> None:
    for id in ids:
        is_marked = tx.execute(_CANCEL_WAITING_ONE, (tx.now, id)).rowcount
        if is_marked and graph.settle(tx, id):
            graph.ended(tx, [id])
        elif is_marked:
            tx.execute("UPDATE task SET cancel_at = NULL WHERE id = ?", (id,))


def signal(tx: Transaction, ids: Sequence[int], number: int) -> list[int]:
    insert = "INSERT INTO signal (task, attempt, signal) SELECT id, attempt, ? FROM task"
    where = "WHERE id = ? AND status = 'running'"
    reached = [id for id in ids if tx.execute(f"{insert} {where}", (number, id)).rowcount]
    tx.rings.add(bell.SIGNAL)
    return reached


def take_signals(tx: Transaction, worker: int) -> list[Request]:
    rows = tx.rows(SIGNALS, (worker,))
    tx.executemany("DELETE FROM signal WHERE number = ?", [row[:1] for row in rows])
    return [Request(id, attempt, number) for _, id, attempt, number in rows]


def retry(tx: Transaction, ids: Sequence[int]) -> None:
    for id in ids:
        status = _status(tx, id)
        if status not in states.COMPLETE_STATES:
            raise StateError(f"task {id} is {status}; only one that has ended can be retried")
    family = sorted(_with_children(tx, ids, _FAILED_CHILDREN))
    for id in family:
        _refuse_missing_dependency(tx, id)
    for id in family:
        status = _status(tx, id)
        if status in states.COMPLETE_STATES:  # else one before it has revived it
            retry_one(tx, id, status, _open_requirements(tx, id))
            graph.reopened(tx, [id])
    _refuse_failed_dependencies(tx, ids, family)
    graph.ended(tx, [id for id in family if graph.settle(tx, id)])
    tx.rings.add(bell.READY)


def retry_one(tx: Transaction, id: int, status: str, requirements: int) -> None:
    """Make an ended task pending, its attempt being kept; its dependents are yet to be told."""
    finish.archive(tx, id, status)
    values = (graph.recount(tx, id), requirements, tx.next_changed(), id, status)
    tx.execute(_RETRY, values)


def remove(tx: Transaction, ids: Sequence[int]) -> list[tuple[int, int, str]]:
    """Remove tasks and their children; return what `forget` does."""
    family = _with_children(tx, ids, "SELECT id FROM task WHERE parent IN ({})")
    for id in family:
        _refuse_needed(tx, id, family)
    return forget(tx, family)


def forget(tx: Transaction, ids: Iterable[int]) -> list[tuple[int, int, str]]:
    """Remove just these; return the (id, attempt, stream) whose output went on in a file."""
    files: list[tuple[int, int, str]] = []
    for id in ids:
        for row in tx.rows(_USED, (id,)):
            for kind, used in zip(shared.KINDS, row):
                shared.use(tx, kind, used, -1)
        files += tx.rows(_OUTPUT_FILES, (id,))
        tx.execute("DELETE FROM task WHERE id = ?", (id,))
        tx.execute("INSERT INTO removed VALUES (?, ?)", (tx.next_changed(), id))
    shared.drop_unused(tx)
    return files


def reset(tx: Transaction) -> list[tuple[int, int, str]]:
    """Empty all tables but the settings and the sequence; return what `remove` does."""
    files: list[tuple[int, int, str]] = tx.rows(_ALL_OUTPUT_FILES)
    gone = tx.rows("SELECT id FROM task")
    tables = "removed signal output attempt dependency task worker environment requirements uses"
    for table in tables.split():
        tx.execute(f"DELETE FROM {table}")
    tx.executemany("INSERT INTO removed VALUES (?, ?)", [(tx.next_changed(), id) for (id,) in gone])
    return files


def _status(tx: Transaction, id: int) -> str:
    ((status,),) = tx.rows("SELECT status FROM task WHERE id = ?", (id,))
    return str(status)


def _with_children(tx: Transaction, ids: Iterable[int], children_of: str) -> set[int]:
    family: set[int] = set()
    level = set(ids)
    while level:
        family |= level
        found: set[int] = set()
        for batch in batches(sorted(level)):
            found |= {id for (id,) in tx.rows(children_of.format(placeholders(batch)), batch)}
        level = found - family
    return family


def _refuse_missing_dependency(tx: Transaction, id: int) -> None:
    missing = graph.missing_dependency(tx, id)
    if missing is not None:
        raise DependencyResolutionError(
            f"task {id} depends on task {missing}, which was removed; submit it anew"
        )


def _refuse_failed_dependencies(tx: Transaction, ids: Sequence[int], family: Sequence[int]) -> None:
    for id in family:
        if graph.has_failed_dependency(tx, id):
            named = id if id in ids else " ".join(map(str, ids))
            raise StateError(
                f"task {id} needs tasks that have failed; aque-retry -r {named} retries them too"
            )


def _open_requirements(tx: Transaction, id: int) -> int:
    """Return a task's requirements, without the reservation for a worker that has ended."""
    ((requirements, worker, ended_at),) = tx.rows(_RESERVATION, (id,))
    if worker is None or ended_at is None:
        return int(requirements)
    return shared.change_requirements(tx, requirements, worker=None)


def _refuse_needed(tx: Transaction, id: int, removing: set[int]) -> None:
    rows = tx.rows("SELECT status FROM task WHERE id = ?", (id,))
    if rows and rows[0][0] == states.RUNNING:
        raise StateError(f"task {id} is running; aque-kill {id} ends it")
    for dependent, status in tx.rows(_BLOCKER, (id,)):
        if dependent not in removing:
            raise StateError(f"task {id} is needed by task {dependent}, which is {status}")
