"""Own whether what a queue holds agrees with itself, and how it is made to again.

The counters of the graph and of the shared rows are kept by the transitions, each in its own
transaction. That they are right is provable by counting anew; this is for the day when something
other than aque has written to the file, or aque had a defect.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aque import bell
from aque.brokers.questions import Finding
from aque.brokers.sqlite import finish, graph, shared
from aque.brokers.sqlite.connection import Database
from aque.brokers.sqlite.failures import WAY_OUT
from aque.brokers.sqlite.transaction import Rows, Transaction

if TYPE_CHECKING:
    from aque.brokers.sqlite.glance import Glance

_COUNTED = f"""
SELECT count(*) FROM dependency AS d JOIN task AS o ON o.id = d.dependency
WHERE d.task = t.id AND o.status {graph.UNFINISHED}
"""
_MISCOUNTED = f"""
SELECT t.id, t.waiting, ({_COUNTED}) AS counted FROM task AS t
WHERE t.status {graph.WAITING} AND t.waiting <> ({_COUNTED})
"""
_STUCK = """
SELECT id FROM task
WHERE status = 'pending' AND waiting = 0 AND due_at IS NULL AND pattern IS NULL
"""
_ABANDONED = """
SELECT t.id, t.attempt, t.worker FROM task AS t LEFT JOIN worker AS w ON w.id = t.worker
WHERE t.status = 'running' AND (w.id IS NULL OR w.ended_at IS NOT NULL)
"""
_REPAIR = "aque-doctor --repair puts that right"
_NAMED = 5


def examine(database: Database | Glance) -> Iterator[Finding]:
    """Yield what is found by looking through the whole queue."""
    with database.snapshot():
        rows = database.read
        damage = [text for (text,) in rows("PRAGMA integrity_check(10)") if text != "ok"]
        foreign = rows("PRAGMA foreign_key_check")
        ((tasks,),) = rows("SELECT count(*) FROM task")
        if damage or foreign:
            yield _damaged(damage, len(foreign))
        else:
            yield Finding("integrity", f"{tasks} tasks, every page and index whole")
        yield from _journal(rows, database.location.is_shared)
        yield from _counters(rows)


def repair(tx: Transaction) -> None:
    """Count anew, end what could have ended, and have what nobody runs wait again."""
    for id, _, counted in tx.rows(_MISCOUNTED):
        tx.execute("UPDATE task SET waiting = ? WHERE id = ?", (counted, id))
        graph.settle(tx, [id])
    for (id,) in tx.rows(_STUCK):
        graph.settle(tx, [id])
    attempts = [(id, attempt) for id, attempt, _ in tx.rows(_ABANDONED)]
    finish.requeue(tx, attempts, "its worker was gone")
    for table in shared.KINDS:
        miscounted = _miscounted(tx.rows, table)
        for count, id in miscounted:
            tx.execute("INSERT OR REPLACE INTO uses VALUES (?, ?, ?)", (table, id, count))
    shared.drop_unused(tx)
    tx.rings.add(bell.READY)


def _damaged(damage: list[str], foreign: int) -> Finding:
    text = damage[0] if damage else f"{foreign} rows refer to others that are gone"
    more = f" (and {len(damage) - 1} more)" if len(damage) > 1 else ""
    return Finding("integrity", f"{text}{more}", WAY_OUT)


def _journal(rows: Rows, is_shared: bool) -> Iterator[Finding]:
    ((mode,),) = rows("PRAGMA journal_mode")
    if is_shared and mode == "wal":
        yield Finding(
            "journal", "a write-ahead log, on a disk that several hosts may share",
            "use it from one host only, or copy it by aque-init --backup to a new place there",
        )  # fmt: skip


def _counters(rows: Rows) -> Iterator[Finding]:
    problems = [
        f"task {id} is said to wait for {waiting}, and {counted} have not ended"
        for id, waiting, counted in rows(_MISCOUNTED)
    ]
    problems += [f"task {id} could have ended" for (id,) in rows(_STUCK)]
    problems += [
        f"task {id} is running, and its worker {worker} has ended"
        for id, _, worker in rows(_ABANDONED)
    ]
    for table in shared.KINDS:
        count = len(_miscounted(rows, table))
        if count:
            problems.append(f"{count} rows of {table} are said to have other uses than they have")
    if not problems:
        yield Finding("counters", "as they come out when counted anew")
        return
    more = f" (and {len(problems) - _NAMED} more)" if len(problems) > _NAMED else ""
    yield Finding("counters", "; ".join(problems[:_NAMED]) + more, _REPAIR)


def _miscounted(rows: Rows, table: str) -> list[tuple[int, int]]:
    """Return the (uses, id) of rows that tasks share, where the count is another one."""
    counted: dict[int, int] = dict(rows(f"SELECT {table}, count(*) FROM task GROUP BY {table}"))
    said: dict[int, int] = dict(rows("SELECT id, count FROM uses WHERE kind = ?", (table,)))
    stored = [id for (id,) in rows(f"SELECT id FROM {table}")]
    return [(counted.get(id, 0), id) for id in stored if said.get(id) != counted.get(id, 0)]
