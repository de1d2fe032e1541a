"""Own how prototypes become rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple, fields, replace
from typing import Any

from aque import bell, states, task
from aque.brokers.sqlite import graph
from aque.brokers.sqlite.connection import Transaction
from aque.errors import DependencyResolutionError, StateError
from aque.task import Earlier, Prototype, Reference, Requirements

_COLUMNS = (
    "id status waiting priority duration due_at requirements parent changed name pattern func args"
    " kwargs extra cwd environment umask import_path interpreter stdin stdin_value stdout stderr"
    " timeout retries retry_delay created_at owner"
).split()
_INSERT = f"INSERT INTO task ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_INSERT_EDGE = "INSERT OR IGNORE INTO dependency (task, dependency, kind) VALUES (?, ?, ?)"
_COUNT_UP = "UPDATE task SET waiting = waiting + 1 WHERE id = ?"
_PARENT = """
SELECT t.status, t.priority, t.cwd, t.environment, t.umask, t.import_path, t.requirements
FROM task AS t WHERE t.id = ?
"""


class _Parent:
    """What children take over from their parent where they say nothing themselves."""

    def __init__(self, row: tuple[Any, ...]) -> None:
        (self.status, self.priority, self.cwd, self.environment, self.umask) = row[:5]
        (self.import_path, self.requirements) = row[5:]


class _Creation:
    """One call of create: its ids, and what its tasks share, looked up once."""

    def __init__(self, tx: Transaction) -> None:
        self.tx = tx
        self.ids: list[int] = []
        self.shared: dict[Any, int] = {}
        self.uses: dict[tuple[str, int], int] = {}
        self.parents: dict[int, _Parent] = {}
        rows = tx.rows("SELECT seq FROM sqlite_sequence WHERE name = 'task'")
        self.next_id = rows[0][0] + 1 if rows else 1

    def resolve(self, reference: Reference) -> int:
        return self.ids[reference.index] if isinstance(reference, Earlier) else reference

    def use(self, table: str, key: Any, content: Any) -> int:
        """Return the id of a shared row, and count one use of it more."""
        if key not in self.shared:
            store = _store_environment if table == "environment" else _store_requirements
            self.shared[key] = store(self.tx, content)
        return self.count_use(table, self.shared[key])

    def count_use(self, table: str, id: int) -> int:
        self.uses[table, id] = self.uses.get((table, id), 0) + 1
        return id

    def parent(self, id: int) -> _Parent:
        if id not in self.parents:
            rows = self.tx.rows(_PARENT, (id,))
            if not rows:
                raise DependencyResolutionError(f"there is no task {id} to be the parent")
            self.parents[id] = _Parent(rows[0])
        if self.parents[id].status not in states.WAITING_STATES:
            status = self.parents[id].status
            raise StateError(f"task {id} is {status}; children can be added only while it waits")
        return self.parents[id]


def create(tx: Transaction, prototypes: Sequence[Prototype]) -> list[int]:
    creation = _Creation(tx)
    rows: list[tuple[Any, ...]] = []
    connected: list[int] = []
    for prototype in prototypes:
        id = creation.next_id
        creation.next_id += 1
        rows.append(_row(creation, id, prototype))
        creation.ids.append(id)
        if _has_edges(prototype):
            tx.executemany(_INSERT, rows)
            rows.clear()
            _connect(creation, id, prototype)
            connected.append(id)
    tx.executemany(_INSERT, rows)
    for (table, shared), count in creation.uses.items():
        tx.execute(f"UPDATE {table} SET uses = uses + ? WHERE id = ?", (count, shared))
    graph.ended(tx, [id for id in connected if graph.settle(tx, id)])
    tx.rings.add(bell.READY)
    return creation.ids


def _has_edges(prototype: Prototype) -> bool:
    is_group = prototype.pattern is None
    has_parent = prototype.parent is not None
    return bool(is_group or has_parent or prototype.after or prototype.after_any)


def _row(creation: _Creation, id: int, prototype: Prototype) -> tuple[Any, ...]:
    parent_id = None if prototype.parent is None else creation.resolve(prototype.parent)
    parent = None if parent_id is None else creation.parent(parent_id)
    priority = _first(prototype.priority, parent and parent.priority, task.DEFAULT_PRIORITY)
    return (
        id, prototype.status, 0, priority, prototype.duration, prototype.due_at,
        _requirements(creation, prototype.requirements, parent),
        parent_id, creation.tx.next_changed(),
        prototype.name, prototype.pattern, prototype.func, prototype.args, prototype.kwargs,
        prototype.extra, _first(prototype.cwd, parent and parent.cwd),
        _environment(creation, prototype.environ, parent),
        _first(prototype.umask, parent and parent.umask),
        _first(prototype.import_path, parent and parent.import_path),
        prototype.interpreter, prototype.stdin, prototype.stdin_value, prototype.stdout,
        prototype.stderr, prototype.timeout, prototype.retries, prototype.retry_delay,
        creation.tx.now, prototype.owner,
    )  # fmt: skip


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _requirements(
    creation: _Creation, requirements: Requirements | None, parent: _Parent | None
) -> int:
    if requirements is None:
        assert parent is not None, "only a child may leave its requirements to its parent"
        return creation.count_use("requirements", parent.requirements)
    return creation.use("requirements", requirements, requirements)


def _environment(creation: _Creation, environ: Any, parent: _Parent | None) -> int | None:
    if environ is None:
        if parent is None or parent.environment is None:
            return None
        return creation.count_use("environment", parent.environment)
    return creation.use("environment", id(environ), environ)


def _store_environment(tx: Transaction, environ: Any) -> int:
    content = json.dumps(dict(environ), sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(content.encode()).hexdigest()
    rows = tx.rows("SELECT id FROM environment WHERE hash = ?", (digest,))
    if rows:
        return int(rows[0][0])
    insert = "INSERT INTO environment (hash, content, uses) VALUES (?, ?, 0)"
    return int(tx.execute(insert, (digest, content)).lastrowid or 0)


def _store_requirements(tx: Transaction, requirements: Requirements) -> int:
    values = astuple(requirements)
    key = json.dumps(values, separators=(",", ":"))
    rows = tx.rows("SELECT id FROM requirements WHERE key = ?", (key,))
    if rows:
        return int(rows[0][0])
    insert = (
        'INSERT INTO requirements ("user", "group", host, platform, cpus, memory, limits, mounts,'
        " worker, key, uses) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"
    )
    return int(tx.execute(insert, (*values, key)).lastrowid or 0)


def change_requirements(tx: Transaction, id: int, **changes: Any) -> int:
    """Move one task's use of requirements `id` to ones changed so; return the id of those."""
    columns = ", ".join(f'"{field.name}"' for field in fields(Requirements))
    (row,) = tx.rows(f"SELECT {columns} FROM requirements WHERE id = ?", (id,))
    changed = _store_requirements(tx, replace(Requirements(*row), **changes))
    tx.execute("UPDATE requirements SET uses = uses - 1 WHERE id = ?", (id,))
    tx.execute("UPDATE requirements SET uses = uses + 1 WHERE id = ?", (changed,))
    return changed


def _connect(creation: _Creation, id: int, prototype: Prototype) -> None:
    """Make the edges of a new task. What they end at once ends when all edges are made."""
    tx = creation.tx
    waiting, cause = 0, None
    for kind, references in (
        (task.AFTER, prototype.after),
        (task.AFTER_ANY, prototype.after_any),
    ):
        for dependency in dict.fromkeys(creation.resolve(reference) for reference in references):
            status, failed = _dependency(tx, dependency)
            tx.execute(_INSERT_EDGE, (id, dependency, kind))
            waiting += status not in states.COMPLETE_STATES
            if kind == task.AFTER and cause is None:
                cause = failed
    if waiting or cause is not None:
        tx.execute("UPDATE task SET waiting = ?, cause = ? WHERE id = ?", (waiting, cause, id))
    if prototype.parent is not None:
        parent = creation.resolve(prototype.parent)
        tx.execute(_INSERT_EDGE, (parent, id, task.CHILD))
        tx.execute(_COUNT_UP, (parent,))


def _dependency(tx: Transaction, id: int) -> tuple[str, int | None]:
    """Return the status of a dependency, and the first cause of its failure if it failed."""
    rows = tx.rows("SELECT status, cause FROM task WHERE id = ?", (id,))
    if not rows:
        raise DependencyResolutionError(f"there is no task {id} to wait for")
    status, cause = rows[0]
    failed = status in (states.ERROR, states.CANCELLED)
    return status, (cause or id) if failed else None
