"""Own the write transaction: its one instant, its numbers of events, the bells it will ring."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence, Sized
from typing import Any

from aque import bell
from aque.brokers.sqlite.sizes import batches

Row = tuple[Any, ...]
#: Asks a query, with the values it binds.
Rows = Callable[..., list[Row]]

#: KiB of pages that SQLite keeps, negative as it wants them: usually, and for over _MANY rows.
_USUAL, _WIDE, _MANY = -2000, -65536, 1000
_SEQUENCE = "SELECT changed, task FROM sequence"


class Transaction:
    """A write transaction that is open now. `now` is its one instant, in Unix seconds."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.execute = connection.execute
        self.executemany = connection.executemany
        self.now = time.time()
        self.rings: set[str] = set()
        self.is_rung_later = False
        self._is_wide = False
        ((self._first, self._last_id),) = self.execute(_SEQUENCE).fetchall()
        self._changed = self._first

    @property
    def number(self) -> int:
        """The number of the latest event."""
        return int(self._changed)

    def next_changed(self) -> int:
        """Return the number of the next event."""
        self._changed += 1
        return int(self._changed)

    def next_ids(self, count: int) -> range:
        """Return the ids of so many new tasks."""
        first = self._last_id + 1
        self._last_id += count
        return range(first, first + count)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        return self.execute(sql, values).fetchall()

    def rows_in(self, sql: str, ids: Sequence[int]) -> list[Row]:
        """Return the rows of a query whose `IN ({})` is about these ids, asked in batches."""
        found: list[Row] = []
        for batch in batches(ids):
            found += self.rows(sql.format(placeholders(batch)), batch)
        return found

    def execute_in(self, sql: str, values: Sequence[Any], ids: Sequence[int]) -> None:
        """Have a statement that ends with `IN ({})` change the rows of these ids, in batches."""
        for batch in batches(ids):
            self.execute(sql.format(placeholders(batch)), (*values, *batch))

    def expect(self, rows: int) -> None:
        """Have SQLite keep the pages of so many rows in memory until this is committed.

        In its usual 2 MB it would write and read each page of a large change several times.
        """
        if rows > _MANY:
            self._is_wide = True
            self.execute(f"PRAGMA cache_size = {_WIDE}")

    def finish(self) -> None:
        if self._changed != self._first:
            self.execute(
                "UPDATE sequence SET changed = ?, task = ?", (self._changed, self._last_id)
            )
            self.rings.add(bell.DONE)
        if self._is_wide:
            self.execute(f"PRAGMA cache_size = {_USUAL}")


def placeholders(values: Sized) -> str:
    """Return as many `?` as there are values, for an IN (...)."""
    return ", ".join("?" * len(values))


def storable(text: str | None) -> str | bytes | None:
    """Return a text as SQLite can hold it: a path or name that is not UTF-8 as its bytes.

    `task.from_row` makes it the same str again.
    """
    if text is None or text.isascii():
        return text
    for encode in (str.encode, os.fsencode):
        try:
            encoded = encode(text)
        except UnicodeEncodeError:
            continue
        return text if encode is str.encode else encoded
    return text.encode("utf-8", "backslashreplace").decode()
