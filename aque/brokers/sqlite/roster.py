"""Own the rows of workers: who there is, who still beats, and who has ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aque.brokers.sqlite.transaction import Rows, Transaction, placeholders
from aque.errors import BrokerError
from aque.report import WorkerRecord, worker_keys

#: In brackets, since in quotes one that an older file lacks would be taken for a text.
_COLUMNS = ", ".join(f"[{key}]" for key in worker_keys())
_BEAT = "UPDATE worker SET heartbeat = heartbeat + 1, ended_at = NULL WHERE id = ?"
#: Back and forth, since SQLite writes no page in which nothing has changed.
_STEP = "UPDATE sequence SET changed = changed + ?"
_DISMISS = """
UPDATE worker SET ended_at = ? WHERE id = ?
AND NOT EXISTS (SELECT 1 FROM task WHERE status = 'running' AND worker = ?)
"""


def enlist(tx: Transaction, record: WorkerRecord) -> int:
    values = [getattr(record, key) for key in worker_keys()]
    insert = f"INSERT INTO worker ({_COLUMNS}) VALUES ({placeholders(values)})"
    return int(tx.execute(insert, [record.id or None, *values[1:]]).lastrowid or 0)


def beat(tx: Transaction, worker: int | None) -> bool:
    if worker is None:
        tx.executemany(_STEP, [(1,), (-1,)])
        return True
    ended = tx.rows("SELECT ended_at FROM worker WHERE id = ?", (worker,))
    if not ended:
        raise BrokerError(f"the queue has forgotten worker {worker}; start it again")
    tx.execute(_BEAT, (worker,))
    return ended[0][0] is None


def drain(tx: Transaction, worker: int) -> None:
    tx.execute("UPDATE worker SET draining_at = ? WHERE id = ?", (tx.now, worker))


def change_slots(tx: Transaction, worker: int, slots: int) -> None:
    tx.execute("UPDATE worker SET slots = ? WHERE id = ?", (slots, worker))


def dismiss(tx: Transaction, worker: int) -> bool:
    return tx.execute(_DISMISS, (tx.now, worker, worker)).rowcount == 1


def workers(rows: Rows, ids: Iterable[int] | None) -> list[WorkerRecord]:
    values: list[Any] = []
    where = "WHERE ended_at IS NULL"
    if ids is not None:
        values = list(ids)
        where = f"WHERE id IN ({placeholders(values)})"
    sql = f"SELECT {_COLUMNS} FROM worker {where} ORDER BY id"
    return [WorkerRecord(*row) for row in rows(sql, values)]


def owned(rows: Rows, worker: int) -> list[int]:
    where = "status IN ('creating', 'paused') AND status = 'creating'"  # as the index has it
    return [row[0] for row in rows(f"SELECT id FROM task WHERE {where} AND owner = ?", (worker,))]
