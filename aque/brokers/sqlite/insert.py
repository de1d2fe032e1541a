"""Own how the rows of new tasks are written, one or many.

Tasks that are submitted together differ in little: their arguments, perhaps a function or a name.
Bound value by value, an insert of 31 columns takes 13 us a row, most of it to say again what was
said before. So what all rows have in common is bound once, what is NULL is left out, and many rows
are one statement: 3 us a row. That also matters to a program of several threads: sqlite3 gives up
the interpreter at each step of a statement, and waits up to 5 ms to get it back.

Rejected: rows as JSON (not in every SQLite 3.26, and no exact floats).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from aque.brokers.sqlite.sizes import MOST, pieces, tuples
from aque.brokers.sqlite.transaction import Row, Transaction

COLUMNS = tuple(
    (
        "id status waiting priority duration due_at requirements parent changed name pattern func"
        " args kwargs extra cwd environment umask import_path interpreter stdin stdin_value stdout"
        " stderr timeout retries retry_delay keep_background created_at owner cause"
    ).split()
)
#: Rows that are compared at a time.
_BATCH = 5000

_EDGE = "INSERT OR IGNORE INTO dependency (task, dependency, kind) VALUES "


def insert(tx: Transaction, rows: Sequence[Row]) -> None:
    """Write rows of COLUMNS."""
    for at in range(0, len(rows), _BATCH):
        _insert(tx, rows[at : at + _BATCH])


def insert_edges(tx: Transaction, edges: Sequence[tuple[int, int, str]]) -> None:
    """Write edges (task, dependency, kind); one that is there already is left."""
    for some in pieces(edges, MOST // 3):
        tx.execute(_EDGE + tuples(3, len(some)), [value for edge in some for value in edge])


def _insert(tx: Transaction, rows: Sequence[Row]) -> None:
    if len(rows) == 1:
        (row,) = rows
        stored = tuple(n for n, value in enumerate(row) if value is not None)
        tx.execute(_statement(stored, (), 1), [row[n] for n in stored])
        return
    columns = list(zip(*rows))
    is_common = [column.count(column[0]) == len(rows) for column in columns]
    common = tuple(n for n, value in enumerate(rows[0]) if is_common[n] and value is not None)
    varying = tuple(n for n, same in enumerate(is_common) if not same)
    said = [rows[0][n] for n in common]
    rest = list(zip(*(columns[n] for n in varying)))
    for some in pieces(rest, (MOST - len(said)) // len(varying)):
        values: list[Any] = [*said, *(value for row in some for value in row)]
        tx.execute(_statement(common, varying, len(some)), values)


@lru_cache(maxsize=100)
def _statement(common: tuple[int, ...], varying: tuple[int, ...], size: int) -> str:
    names = ", ".join(COLUMNS[n] for n in (*common, *varying))
    said = [f"?{number}" for number in range(1, len(common) + 1)]
    own = [f"column{number}" for number in range(1, len(varying) + 1)]
    source = f" FROM (VALUES {tuples(len(varying), size)})" if varying else ""
    return f"INSERT INTO task ({names}) SELECT {', '.join(said + own)}{source}"
