"""Own the queries: what they show is never decoded, and nothing here writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from aque import task
from aque.brokers.claims import Ahead
from aque.brokers.questions import Condition, Edge, Selection
from aque.brokers.sqlite import sizes
from aque.brokers.sqlite.transaction import Row, Rows, placeholders
from aque.errors import TaskNotFoundError, UsageError
from aque.record import replace
from aque.requirements import REQUIREMENT_KEYS
from aque.task import Task

#: Column by key of a task.
COLUMNS = {key: f'r."{key}"' if key in REQUIREMENT_KEYS else f"t.{key}" for key in task.KEYS}
_SELECT = f"SELECT {', '.join(COLUMNS.values())} FROM task AS t"
JOIN = "JOIN requirements AS r ON r.id = t.requirements"
_OPERATORS = {"=": "IS", "!=": "IS NOT", "~": "GLOB", "<": "<", ">": ">"}
#: Ids of a selection that are asked for at a time: beside them there are its other values.
_SELECTED = 512

# A task that has ended has ended_at, by a CHECK of the schema.
_SHOWN = "(t.ended_at IS NULL OR t.ended_at >= ?)"
#: What is of most interest has the highest: what runs, then what waits, then what has ended.
RANK = """
(t.status = 'running' OR (t.pattern IS NULL AND t.ended_at IS NULL)) + (t.ended_at IS NULL)
"""
_WAITED_FOR = "SELECT dependency FROM dependency WHERE task = ? AND kind <> 'child'"
_CANCELLING = """
SELECT id, cancel_signal FROM task
WHERE status = 'running' AND cancel_at IS NOT NULL AND id IN ({})
"""
_AHEAD = """
SELECT count(*), total(t.duration * r.cpus), min(t.duration > 0 OR r.cpus = 0)
FROM task AS t JOIN requirements AS r ON r.id = t.requirements
WHERE t.status = 'pending' AND t.waiting = 0 AND t.due_at IS NULL AND (
    t.priority > ? OR (t.priority = ? AND (t.duration > ? OR (t.duration = ? AND t.id < ?))))
"""


def fetch(rows: Rows, ids: Sequence[int]) -> list[Task]:
    found: dict[int, Task] = {}
    for batch in sizes.batches(ids):
        where = f"WHERE t.id IN ({placeholders(batch)})"
        for row in rows(f"{_SELECT} {JOIN} {where}", batch):
            found[row[0]] = task.from_row(row)
    for id in ids:
        if id not in found:
            raise TaskNotFoundError(f"there is no task {id}")
    return [found[id] for id in ids]


def search(
    rows: Rows, conditions: Sequence[Condition], newest_first: bool, limit: int | None
) -> list[Task]:
    where, values = where_of(Selection(conditions))
    order = "DESC" if newest_first else "ASC"
    sql = f"{_SELECT} {JOIN} WHERE {where} ORDER BY t.id {order} LIMIT ?"
    found = rows(sql, [*values, -1 if limit is None else limit])
    return [task.from_row(row) for row in found]


def select(rows: Rows, selection: Selection, limit: int | None) -> list[Task]:
    found: list[Row] = []
    most = -1 if limit is None else limit
    for batch in parts(selection):
        where, values = where_of(batch)
        sql = f"SELECT {RANK} AS rank, t.id FROM task AS t {JOIN} WHERE {where}"
        found += rows(f"{sql} ORDER BY rank DESC, t.id DESC LIMIT ?", [*values, most])
    found.sort(reverse=True)
    return fetch(rows, sorted(id for _, id in found[:limit]))


def count(rows: Rows, selection: Selection) -> int:
    total = 0
    for batch in parts(selection):
        where, values = where_of(batch)
        ((number,),) = rows(f"SELECT count(*) FROM task AS t {JOIN} WHERE {where}", values)
        total += number
    return total


def ahead(rows: Rows, before: Task) -> Ahead:
    place = (before.priority, before.priority, before.duration, before.duration, before.id)
    ((count, work, are_known),) = rows(_AHEAD, place)
    return Ahead(count, work if are_known or not count else None)


def statuses(rows: Rows, ids: Sequence[int]) -> dict[int, str]:
    return _by_id(rows, "SELECT id, status FROM task WHERE id IN ({})", ids)


def results(rows: Rows, ids: Sequence[int]) -> dict[int, str | None]:
    return _by_id(rows, "SELECT id, result FROM task WHERE status = 'success' AND id IN ({})", ids)


def signals(rows: Rows, ids: Sequence[int]) -> dict[int, int]:
    found: dict[int, int] = _by_id(
        rows, "SELECT task, signal FROM signal WHERE task IN ({}) ORDER BY number", ids
    )
    return {**found, **_by_id(rows, _CANCELLING, ids)}


def last_output(rows: Rows, ids: Sequence[int]) -> dict[int, int]:
    sql = "SELECT task, max(number) FROM output WHERE task IN ({}) GROUP BY task"
    return _by_id(rows, sql, ids)


def _by_id(rows: Rows, sql: str, ids: Sequence[int]) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for batch in sizes.batches(ids):
        found.update(rows(sql.format(placeholders(batch)), batch))
    return found


def edges(rows: Rows, ids: Sequence[int], key: str) -> list[Edge]:
    found: list[Edge] = []
    for batch in sizes.batches(list(dict.fromkeys(ids))):
        where = f"WHERE {key} IN ({placeholders(batch)}) ORDER BY task, dependency"
        sql = f"SELECT task, dependency, kind FROM dependency {where}"
        found.extend(Edge(*row) for row in rows(sql, batch))
    return found


def count_children(rows: Rows, ids: Sequence[int]) -> dict[int, dict[str, int]]:
    counts: dict[int, dict[str, int]] = {}
    for batch in sizes.batches(ids):
        where = f"WHERE parent IN ({placeholders(batch)})"
        sql = f"SELECT parent, status, count(*) FROM task {where} GROUP BY parent, status"
        for parent, status, count in rows(sql, batch):
            counts.setdefault(parent, {})[status] = count
    return counts


def children(rows: Rows, parent: int, limit: int, wanted: Sequence[str]) -> list[Task]:
    return _first(rows, "t.parent = ?", parent, limit, wanted)


def count_dependencies(rows: Rows, ids: Sequence[int]) -> dict[int, dict[str, int]]:
    counts: dict[int, dict[str, int]] = {}
    for batch in sizes.batches(ids):
        sql = f"""
        SELECT d.task, t.status, count(DISTINCT t.id)
        FROM dependency AS d JOIN task AS t ON t.id = d.dependency
        WHERE d.task IN ({placeholders(batch)}) AND d.kind <> 'child' GROUP BY d.task, t.status
        """
        for id, status, number in rows(sql, batch):
            counts.setdefault(id, {})[status] = number
    return counts


def dependencies(rows: Rows, id: int, limit: int, wanted: Sequence[str]) -> list[Task]:
    return _first(rows, f"t.id IN ({_WAITED_FOR})", id, limit, wanted)


def _first(rows: Rows, where: str, value: int, limit: int, wanted: Sequence[str]) -> list[Task]:
    if wanted:
        where += f" AND t.status IN ({placeholders(wanted)})"
    sql = f"{_SELECT} {JOIN} WHERE {where} ORDER BY t.id LIMIT ?"
    return [task.from_row(row) for row in rows(sql, [value, *wanted, limit])]


def parts(selection: Selection) -> Iterator[Selection]:
    """Split a selection of many ids into ones that SQLite can bind."""
    if selection.ids is None:
        yield selection
        return
    for batch in sizes.batches(list(dict.fromkeys(selection.ids)), _SELECTED):
        yield replace(selection, ids=batch)


def where_of(selection: Selection) -> tuple[str, list[Any]]:
    terms, values = ["1"], []
    for condition in selection.conditions:
        if condition.key not in COLUMNS:
            raise UsageError(f"a task has no key {condition.key!r}; see aque-status --help")
        terms.append(f"{COLUMNS[condition.key]} {_OPERATORS[condition.operator]} ?")
        values.append(condition.value)
    for column, wanted in (("t.status", selection.statuses), ("t.id", selection.ids)):
        if wanted:
            terms.append(f"{column} IN ({placeholders(wanted)})")
            values.extend(wanted)
    for word in selection.words:
        terms.append("instr(lower(coalesce(t.name, t.func, '') || coalesce(t.args, '')), lower(?))")
        values.append(word)
    if selection.ended_since is not None:
        terms.append(_SHOWN)
        values.append(selection.ended_since)
    return " AND ".join(terms), values
