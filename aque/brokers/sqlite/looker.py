"""Own the SQLite broker's answers: the half of it that only reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aque import location
from aque.brokers import sqlite
from aque.brokers.base import Broker
from aque.brokers.claims import Ahead, Candidate
from aque.brokers.questions import Attempt, Changes, Condition, Edge, Entry, Outline, Selection
from aque.brokers.sqlite.connection import Database
from aque.report import Chunk
from aque.requirements import Requirements
from aque.task import Task

if TYPE_CHECKING:
    from aque.brokers.sqlite.glance import Glance

_CHANGES = "SELECT id, status FROM task WHERE changed > ?"
_ATTEMPTS = """
SELECT attempt, status, a.started_at, a.ended_at, exit_status, exit_signal, error, host
FROM attempt AS a LEFT JOIN worker AS w ON w.id = a.worker WHERE task = ? ORDER BY attempt
"""
_OUTPUT = """
SELECT task, attempt, stream, offset, at, data, number FROM output
WHERE task = ? AND attempt = ? AND number > ? ORDER BY number
"""


class SQLiteLooker(Broker):
    """What a queue in one SQLite file answers."""

    def __init__(self, database: Database | Glance) -> None:
        super().__init__()
        self._database = database
        self._known: dict[int, Requirements] = {}

    def to_url(self) -> str:
        return location.to_url(self._database.location)

    @property
    def is_new(self) -> bool:
        return self._database.is_new

    @property
    def directory(self) -> str:
        return self._database.location.directory

    @property
    def is_shared(self) -> bool:
        return self._database.location.is_shared

    def is_outdated(self) -> bool:
        return sqlite.migrations.is_outdated(self._database.read)

    def fetch(self, ids: Sequence[int]) -> list[Task]:
        return sqlite.look.fetch(self._database.read, ids)

    def search(
        self,
        conditions: Sequence[Condition] = (),
        *,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> list[Task]:
        return sqlite.look.search(self._database.read, conditions, newest_first, limit)

    def select(self, selection: Selection, limit: int | None = None) -> list[Task]:
        with self._database.snapshot():
            return sqlite.look.select(self._database.read, selection, limit)

    def count(self, selection: Selection) -> int:
        return sqlite.look.count(self._database.read, selection)

    def existing(self, first: int, last: int) -> list[int]:
        sql = "SELECT id FROM task WHERE id BETWEEN ? AND ? ORDER BY id"
        return [row[0] for row in self._database.read(sql, (first, last))]

    def last_id(self) -> int | None:
        ((last,),) = self._database.read("SELECT max(id) FROM task WHERE parent IS NULL")
        return None if last is None else int(last)

    def statuses(self, ids: Sequence[int]) -> dict[int, str]:
        return sqlite.look.statuses(self._database.read, ids)

    def results(self, ids: Sequence[int]) -> dict[int, str | None]:
        return sqlite.look.results(self._database.read, ids)

    def signals(self, ids: Sequence[int]) -> dict[int, int]:
        return sqlite.look.signals(self._database.read, ids)

    def changes(self, since: int | None = None) -> Changes:
        with self._database.snapshot():
            ((number,),) = self._database.read("SELECT changed FROM sequence")
            if since is None or since == number:
                return Changes(number, {}, ())
            changed: dict[int, str] = dict(self._database.read(_CHANGES, (since,)))
            removed = self._database.read("SELECT task FROM removed WHERE changed > ?", (since,))
        return Changes(number, changed, [row[0] for row in removed])

    def edges(self, ids: Sequence[int]) -> list[Edge]:
        return sqlite.look.edges(self._database.read, ids, "task")

    def dependents(self, ids: Sequence[int]) -> list[Edge]:
        return sqlite.look.edges(self._database.read, ids, "dependency")

    def count_children(self, ids: Sequence[int]) -> dict[int, dict[str, int]]:
        return sqlite.look.count_children(self._database.read, ids)

    def children(self, parent: int, limit: int, statuses: Sequence[str] = ()) -> list[Task]:
        return sqlite.look.children(self._database.read, parent, limit, statuses)

    def count_dependencies(self, ids: Sequence[int]) -> dict[int, dict[str, int]]:
        return sqlite.look.count_dependencies(self._database.read, ids)

    def dependencies(self, id: int, limit: int, statuses: Sequence[str] = ()) -> list[Task]:
        return sqlite.look.dependencies(self._database.read, id, limit, statuses)

    def roots(
        self, ended_since: float, limit: int | None, user: str | None
    ) -> tuple[list[Task], dict[str, int]]:
        with self._database.snapshot():
            return sqlite.roots.roots(self._database.read, ended_since, limit, user)

    def outline(self, ended_since: float, user: str | None, since: int = 0) -> Outline:
        with self._database.snapshot():
            return sqlite.outline.outline(self._database.read, ended_since, user, since)

    def entries(self, ended_since: float, user: str | None, after: int, limit: int) -> list[Entry]:
        return sqlite.outline.entries(self._database.read, ended_since, user, after, limit)

    def running_entries(self, ended_since: float, user: str | None) -> list[Entry]:
        return sqlite.outline.running_entries(self._database.read, ended_since, user)

    def last_ended(self, ended_since: float, user: str | None, limit: int) -> list[int]:
        return sqlite.outline.last_ended(self._database.read, ended_since, user, limit)

    def pace(self, since: float, user: str | None) -> tuple[int, float | None]:
        return sqlite.outline.pace(self._database.read, since, user)

    def ranked(self, selection: Selection, order: str) -> list[int]:
        return sqlite.outline.ranked(self._database.read, selection, order)

    def ahead(self, task: Task) -> Ahead:
        return sqlite.look.ahead(self._database.read, task)

    def heads(self) -> list[tuple[Candidate, Requirements]]:
        with self._database.snapshot():
            return sqlite.claim.heads(self._database.read, self._known)

    def environ(self, environment: int) -> dict[str, str]:
        sql = "SELECT content FROM environment WHERE id = ?"
        ((content,),) = self._database.read(sql, (environment,))
        environ: dict[str, str] = json.loads(content)
        return environ

    def stdin_value(self, id: int) -> bytes | None:
        rows = self._database.read("SELECT stdin_value FROM task WHERE id = ?", (id,))
        return rows[0][0] if rows else None

    def attempts(self, id: int) -> list[Attempt]:
        return [Attempt(*row) for row in self._database.read(_ATTEMPTS, (id,))]

    def output(self, id: int, attempt: int, after: int = 0) -> list[Chunk]:
        return [Chunk(*row) for row in self._database.read(_OUTPUT, (id, attempt, after))]

    def last_output(self, ids: Sequence[int]) -> dict[int, int]:
        return sqlite.look.last_output(self._database.read, ids)
