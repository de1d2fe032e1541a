"""Own the write transaction: its one instant, its numbers of events, the bells it will ring."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import Any

from aque import bell

Row = tuple[Any, ...]

_SEQUENCE = "SELECT changed, task FROM sequence"


class Transaction:
    """A write transaction that is open now. `now` is its one instant, in Unix seconds."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.execute = connection.execute
        self.executemany = connection.executemany
        self.now = time.time()
        self.rings: set[str] = set()
        self.is_rung_later = False
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

    def finish(self) -> None:
        if self._changed != self._first:
            self.execute(
                "UPDATE sequence SET changed = ?, task = ?", (self._changed, self._last_id)
            )
            self.rings.add(bell.DONE)


def placeholders(values: Iterable[object]) -> str:
    """Return as many `?` as there are values, for an IN (...)."""
    return ", ".join("?" for _ in values)


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
