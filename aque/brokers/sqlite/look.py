"""Own the queries: what they show is never decoded, and nothing here writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aque import task
from aque.brokers.base import Condition, Edge
from aque.brokers.sqlite.connection import Row, placeholders
from aque.errors import TaskNotFoundError, UsageError
from aque.task import Task

Rows = Callable[..., list[Row]]

_REQUIRED = {"user", "group", "host", "platform", "cpus", "memory", "limits", "mounts"}
_RESERVED = {"reserved": "r.worker"}
#: Column by key of a task.
COLUMNS = {
    key: f'r."{key}"' if key in _REQUIRED else _RESERVED.get(key, f"t.{key}") for key in task.KEYS
}
_SELECT = f"SELECT {', '.join(COLUMNS.values())} FROM task AS t"
_JOIN = "JOIN requirements AS r ON r.id = t.requirements"
_OPERATORS = {"=": "IS", "!=": "IS NOT", "~": "GLOB", "<": "<", ">": ">"}
_BATCH = 500  # SQLite before 3.32 takes 999 bound values

_UNFINISHED = "('creating', 'pending', 'paused', 'running')"
_SHOWN_ROOT = f"""
(t.status IN {_UNFINISHED} OR t.ended_at >= ?) AND t.parent IS NULL
AND NOT EXISTS (SELECT 1 FROM dependency AS d WHERE d.dependency = t.id)
"""


def fetch(rows: Rows, ids: Sequence[int]) -> list[Task]:
    found: dict[int, Task] = {}
    for batch in _batches(ids):
        where = f"WHERE t.id IN ({placeholders(batch)})"
        for row in rows(f"{_SELECT} {_JOIN} {where}", batch):
            found[row[0]] = task.from_row(row)
    for id in ids:
        if id not in found:
            raise TaskNotFoundError(f"there is no task {id}")
    return [found[id] for id in ids]


def search(
    rows: Rows, conditions: Sequence[Condition], newest_first: bool, limit: int | None
) -> list[Task]:
    terms, values = ["1"], []
    for condition in conditions:
        if condition.key not in COLUMNS:
            raise UsageError(f"a task has no key {condition.key!r}; see aque-status --help")
        terms.append(f"{COLUMNS[condition.key]} {_OPERATORS[condition.operator]} ?")
        values.append(condition.value)
    order = "DESC" if newest_first else "ASC"
    sql = f"{_SELECT} {_JOIN} WHERE {' AND '.join(terms)} ORDER BY t.id {order} LIMIT ?"
    found = rows(sql, [*values, -1 if limit is None else limit])
    return [task.from_row(row) for row in found]


def roots(rows: Rows, ended_since: float, limit: int, user: str | None) -> tuple[list[Task], int]:
    mine, values = "", [ended_since]
    if user is not None:
        mine, values = 'AND r."user" = ?', [ended_since, user]  # type: ignore[list-item]
    where = f"{_JOIN} WHERE {_SHOWN_ROOT} {mine}"
    ((count,),) = rows(f"SELECT count(*) FROM task AS t {where}", values)
    found = rows(f"{_SELECT} {where} ORDER BY t.id DESC LIMIT ?", [*values, limit])
    return [task.from_row(row) for row in found], count


def statuses(rows: Rows, ids: Sequence[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for batch in _batches(ids):
        found.update(
            rows(f"SELECT id, status FROM task WHERE id IN ({placeholders(batch)})", batch)
        )
    return found


def edges(rows: Rows, ids: Sequence[int], key: str) -> list[Edge]:
    found: list[Edge] = []
    for batch in _batches(ids):
        where = f"WHERE {key} IN ({placeholders(batch)}) ORDER BY task, dependency"
        sql = f"SELECT task, dependency, kind FROM dependency {where}"
        found.extend(Edge(*row) for row in rows(sql, batch))
    return found


def count_children(rows: Rows, ids: Sequence[int]) -> dict[int, dict[str, int]]:
    counts: dict[int, dict[str, int]] = {}
    for batch in _batches(ids):
        where = f"WHERE parent IN ({placeholders(batch)})"
        sql = f"SELECT parent, status, count(*) FROM task {where} GROUP BY parent, status"
        for parent, status, count in rows(sql, batch):
            counts.setdefault(parent, {})[status] = count
    return counts


def children(rows: Rows, parent: int, limit: int, wanted: Sequence[str]) -> list[Task]:
    where, values = "WHERE t.parent = ?", [parent, *wanted]
    if wanted:
        where += f" AND t.status IN ({placeholders(wanted)})"
    found = rows(f"{_SELECT} {_JOIN} {where} ORDER BY t.id LIMIT ?", [*values, limit])
    return [task.from_row(row) for row in found]


def _batches(ids: Sequence[int]) -> list[list[Any]]:
    unique = list(dict.fromkeys(ids))
    return [unique[at : at + _BATCH] for at in range(0, len(unique), _BATCH)]
