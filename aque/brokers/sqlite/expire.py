"""Own what a queue forgets by itself: tasks that ended longer ago than its settings keep them.

A family goes as a whole, by the age and outcome of its topmost task: what is left of a group must
be complete, or `aque-xargs --resume` would run what has succeeded again. But a group of 100,000 is
not removed in one transaction, which would hold the lock for seconds: its children go first, a
chunk at a time, and then it. A task that one still needs which has not ended stays, and so does the
parent of one that waits again.

Hosts of a shared disk may have clocks that differ, and one that is ahead would have all forgotten
at once. So there it is never much later than the file server says, which stamps the lock file each
time that it is written: whenever anybody writes to the queue.

A worker's row goes when no task is left that it ran. Each aque-xargs has one, so they are many.

Candidates are looked for without the lock, by the index on the time of the end, and looked at again
inside the transaction.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from aque.brokers.sqlite import steer
from aque.brokers.sqlite.connection import Database
from aque.brokers.sqlite.failures import translated
from aque.brokers.sqlite.graph import UNFINISHED
from aque.brokers.sqlite.transaction import Transaction

#: Tasks that are forgotten in one transaction, some 20 ms.
CHUNK = 500
#: Workers, whose rows are small.
_WORKERS = 5000
#: How many events back those who follow the queue are told of removed tasks.
_REMEMBERED = 100_000
#: Seconds past the last write to the queue that a host's own clock is believed.
_BELIEVED = 60.0

_IS_NEEDED = f"""
EXISTS (SELECT 1 FROM dependency AS d JOIN task AS other ON other.id = d.task
        WHERE d.dependency = t.id AND other.status {UNFINISHED})
OR EXISTS (SELECT 1 FROM task AS child WHERE child.parent = t.id AND child.status {UNFINISHED})
"""
_MAY_GO = f"""
FROM task AS t WHERE t.ended_at IS NOT NULL AND t.ended_at < ?1
AND t.ended_at < CASE t.status WHEN 'success' THEN ?2 ELSE ?3 END
AND (t.parent IS NULL OR NOT EXISTS (SELECT 1 FROM task AS above WHERE above.id = t.parent))
AND NOT ({_IS_NEEDED})
"""
_CANDIDATES = f"SELECT t.id {_MAY_GO} ORDER BY t.ended_at LIMIT {CHUNK}"
_STILL = f"SELECT 1 {_MAY_GO} AND t.id = ?4"
_CHILDREN = f"SELECT id FROM task WHERE parent = ? LIMIT {CHUNK + 1}"
_NEEDED = f"SELECT 1 FROM task AS t WHERE t.id = ? AND (t.status {UNFINISHED} OR {_IS_NEEDED})"

_OLD_WORKERS = "SELECT id FROM worker WHERE ended_at < ?"
_REFERRED = """
SELECT worker FROM task UNION SELECT owner FROM task UNION SELECT worker FROM attempt
"""


def expire(
    database: Database, settings: Mapping[str, float], now: float
) -> list[tuple[int, int, str]] | None:
    """Forget a chunk; return the outputs in files to be unlinked, None where nothing was left."""
    if database.location.is_shared:
        with translated(database.location.path):
            stamped = os.stat(database.location.path + "-lock").st_mtime
        now = min(now, stamped + _BELIEVED)
    success, other = now - settings["keep-success"], now - settings["keep-other"]
    ages = (max(success, other), success, other)
    candidates = [id for (id,) in database.read(_CANDIDATES, ages)]
    if not candidates:
        return [] if _forget_workers(database, min(success, other)) else None
    with database.write() as tx:
        chunk: list[int] = []
        for id in candidates:
            if len(chunk) < CHUNK and tx.rows(_STILL, (*ages, id)):
                chunk += _lowest_first(tx, id, CHUNK - len(chunk))
        files = steer.forget(tx, chunk)
        tx.execute("DELETE FROM removed WHERE changed < ?", (tx.number - _REMEMBERED,))
    return files if chunk else None


def _forget_workers(database: Database, before: float) -> bool:
    """Forget a chunk of the workers that ended before then; whether there were any."""
    ended = {id for (id,) in database.read(_OLD_WORKERS, (before,))}
    ended -= {id for (id,) in database.read(_REFERRED)} if ended else set()
    if ended:
        with database.write() as tx:
            tx.executemany(
                "DELETE FROM worker WHERE id = ?", [(id,) for id in sorted(ended)[:_WORKERS]]
            )
    return bool(ended)


def _lowest_first(tx: Transaction, top: int, most: int) -> list[int]:
    """Return tasks of a family that may go now, none of them before its children."""
    found: list[int] = []
    kept: set[int] = set()  # what must stay, and what is above it
    stack: list[tuple[int, Iterator[int]]] = []
    down: int | None = top
    while len(found) < most:
        if down is not None:
            children = [child for (child,) in tx.rows(_CHILDREN, (down,))]
            if len(children) > CHUNK:
                kept.add(down)
            stack.append((down, iter(children)))
        down = next(stack[-1][1], None)
        if down is not None:
            continue
        id, _ = stack.pop()
        if id not in kept and not tx.rows(_NEEDED, (id,)):
            found.append(id)
        elif stack:
            kept.add(stack[-1][0])
        if not stack:
            break
    return found
