"""Own how prototypes become rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from aque import bell, states, task
from aque.brokers.sqlite import graph, shared
from aque.brokers.sqlite.insert import COLUMNS, insert, insert_edges
from aque.brokers.sqlite.shared import Memory
from aque.brokers.sqlite.transaction import Row, Transaction, storable
from aque.errors import DependencyCycleError, DependencyResolutionError, StateError, UsageError
from aque.prototype import AFTER, AFTER_ANY, CHILD, Earlier, Prototype, Reference
from aque.record import replace
from aque.requirements import Requirements, missing_limit, parse_limits

#: Makes a row for `insert` of values by column, among others.
_in_order: Callable[[Mapping[str, Any]], Row] = itemgetter(*COLUMNS)
_PATTERN, _CAUSE = COLUMNS.index("pattern"), COLUMNS.index("cause")
_ID, _ARGS = COLUMNS.index("id"), COLUMNS.index("args")
_COUNT_UP = "UPDATE task SET waiting = waiting + ? WHERE id = ?"
_ABOVE = """
WITH RECURSIVE above (id) AS (
    SELECT ? UNION SELECT d.task FROM dependency AS d JOIN above ON d.dependency = above.id
)
SELECT id FROM above
"""


class _Parent(NamedTuple):
    """A task that may have children, and what they take over where they say nothing themselves."""

    status: str
    priority: int
    cwd: str | bytes | None
    environment: int | None
    umask: int | None
    import_path: str | bytes | None
    requirements: int


_PARENT = f"""
SELECT CASE WHEN cancel_at IS NULL THEN status ELSE 'being killed' END,
{", ".join(_Parent._fields[1:])}
FROM task WHERE id = ?
"""
_of_parent: Callable[[Row], Row] = itemgetter(*map(COLUMNS.index, _Parent._fields))


class _Creation:
    """One call of create: its ids and edges, and what its tasks share, looked up once."""

    def __init__(self, tx: Transaction, count: int, memory: Memory) -> None:
        self.tx = tx
        self.memory = memory
        self.ids = tx.next_ids(count)
        self.changed = tx.next_changed() if count else 0  # all come at once: one event
        self.rows: list[Row] = []
        self.edges: list[tuple[int, int, str]] = []
        self.children: Counter[int] = Counter()  # new ones, by parent
        self.latest: Requirements | None = None
        self.latest_id = 0
        self._shared: dict[Any, int] = {}
        self._parents: dict[int, _Parent] = {}
        self._limits: set[str] | None = None
        self._fates: dict[int, tuple[str, int | None]] = {}

    def resolve(self, reference: Reference) -> int:
        if isinstance(reference, Earlier):
            if not 0 <= reference.index < len(self.rows):
                raise DependencyResolutionError(
                    f"prototype {len(self.rows)} refers to {reference.index}, which is not earlier"
                )
            return self.ids[reference.index]
        if reference in self.ids:
            raise DependencyResolutionError(f"there is no task {reference} yet")
        return reference

    def stored(self, table: str, key: Any, content: Any) -> int:
        """Return the id of a row that tasks share; who uses it is counted once all are known."""
        found = self._shared.get(key)
        if found is None:
            if table == "environment":
                found = shared.store_environment(self.tx, *self.memory.hashed(content))
            else:
                found = shared.store_requirements(self.tx, content)
            self._shared[key] = found
        return found

    def parent(self, id: int) -> _Parent:
        if id not in self._parents:
            self._parents[id] = _Parent._make(self._parent_row(id))
        status = self._parents[id].status
        if status not in states.WAITING_STATES:
            raise StateError(f"task {id} is {status}; children can be added only while it waits")
        return self._parents[id]

    def _parent_row(self, id: int) -> Row:
        if id in self.ids:
            return _of_parent(self.rows[id - self.ids.start])
        rows = self.tx.rows(_PARENT, (id,))
        if not rows:
            raise DependencyResolutionError(f"there is no task {id} to be the parent")
        return rows[0]

    def check_limits(self, requirements: Requirements) -> None:
        """Raise UsageError for a limit that nobody has set, which would hold a task for ever."""
        for name in parse_limits(requirements.limits):
            if self._limits is None:
                self._limits = {row[0] for row in self.tx.rows('SELECT name FROM "limit"')}
            if name not in self._limits:
                raise UsageError(missing_limit(name))

    def fate(self, id: int) -> tuple[str, int | None]:
        """Return the status of a dependency, and the first cause of its failure if it failed."""
        if id in self.ids:
            return states.PENDING, None
        if id not in self._fates:
            rows = self.tx.rows("SELECT status, cause FROM task WHERE id = ?", (id,))
            if not rows:
                raise DependencyResolutionError(f"there is no task {id} to wait for")
            status, cause = rows[0]
            failed = status in states.FAILED_STATES
            self._fates[id] = status, (cause or id) if failed else None
        return self._fates[id]


def create(tx: Transaction, prototypes: Sequence[Prototype], memory: Memory) -> list[int]:
    """Store all prototypes; those that can but end, do so before anybody sees them."""
    creation = _Creation(tx, len(prototypes), memory)
    for id, prototype in zip(creation.ids, prototypes):
        creation.rows.append(_row(creation, id, prototype))
    _insert(creation)
    if creation.children:
        _refuse_cycles(creation, prototypes)
    may_end = [row[0] for row in creation.rows if row[_PATTERN] is None or row[_CAUSE] is not None]
    if may_end:
        graph.settle(tx, may_end)
    tx.rings.add(bell.READY)
    return list(creation.ids)


def create_like(
    tx: Transaction, prototype: Prototype, arguments: Sequence[str], memory: Memory
) -> list[int]:
    """Store tasks that differ in their arguments alone: a row is made once and then changed.

    Children of a group that wait for nothing: what could be refused or settled of others is not
    looked at.
    """
    assert prototype.pattern is not None
    assert not prototype.after
    assert not prototype.after_any
    creation = _Creation(tx, len(arguments), memory)
    first = list(_row(creation, creation.ids.start, prototype))
    for id, text in zip(creation.ids, arguments):
        row = first.copy()
        row[_ID], row[_ARGS] = id, text
        creation.rows.append(tuple(row))
    others = len(arguments) - 1
    for parent in creation.children:
        creation.children[parent] += others
        creation.edges += [(parent, id, CHILD) for id in creation.ids[1:]]
    _insert(creation)
    needs = prototype.requirements
    if needs is None or needs.reserved is None:  # what is reserved is for the one who puts it in
        tx.rings.add(bell.READY)
    return list(creation.ids)


def _insert(creation: _Creation) -> None:
    tx = creation.tx
    insert(tx, creation.rows)
    if creation.edges:
        insert_edges(tx, creation.edges)
        tx.executemany(_COUNT_UP, [(count, parent) for parent, count in creation.children.items()])
    for table in shared.KINDS:
        for used, count in Counter(map(itemgetter(COLUMNS.index(table)), creation.rows)).items():
            if used is not None:
                shared.use(tx, table, used, count)


def _row(creation: _Creation, id: int, prototype: Prototype) -> Row:
    p = prototype
    parent_id, parent, waiting, cause = None, None, 0, None
    if p.parent is not None:
        parent_id = creation.resolve(p.parent)
        parent = creation.parent(parent_id)
    if p.parent is not None or p.after or p.after_any:
        waiting, cause = _connect(creation, id, p)
    priority = p.priority
    if priority is None:
        priority = task.DEFAULT_PRIORITY if parent is None else parent.priority
    cwd, umask, import_path = storable(p.cwd), p.umask, storable(p.import_path)
    if parent is not None:
        cwd, umask = _first(cwd, parent.cwd), _first(umask, parent.umask)
        import_path = _first(import_path, parent.import_path)
    return _in_order({
        **p.__dict__,
        "id": id, "waiting": waiting, "cause": cause, "parent": parent_id, "priority": priority,
        "changed": creation.changed, "created_at": creation.tx.now,
        "requirements": _requirements(creation, p, parent),
        "environment": _environment(creation, p.environ, parent),
        "cwd": cwd, "umask": umask, "import_path": import_path,
        "name": storable(p.name), "interpreter": storable(p.interpreter),
        "stdin": storable(p.stdin), "stdout": storable(p.stdout), "stderr": storable(p.stderr),
    })  # fmt: skip


def _connect(creation: _Creation, id: int, prototype: Prototype) -> tuple[int, int | None]:
    """Note a new task's edges; return how many it waits for, and what it has failed by already."""
    waiting, cause = 0, None
    for kind, references in (
        (AFTER, prototype.after),
        (AFTER_ANY, prototype.after_any),
    ):
        for dependency in dict.fromkeys(creation.resolve(reference) for reference in references):
            status, failed = creation.fate(dependency)
            creation.edges.append((id, dependency, kind))
            waiting += status not in states.COMPLETE_STATES
            if kind == AFTER and cause is None:
                cause = failed
    if prototype.parent is not None:
        parent = creation.resolve(prototype.parent)
        creation.edges.append((parent, id, CHILD))
        creation.children[parent] += 1
    return waiting, cause


def _refuse_cycles(creation: _Creation, prototypes: Sequence[Prototype]) -> None:
    """Refuse a child that waits, by whatever way, for its own parent; nothing else closes one."""
    above: dict[int, set[int]] = {}
    for prototype in prototypes:
        references = (*prototype.after, *prototype.after_any)
        if prototype.parent is None or not references:
            continue
        parent = creation.resolve(prototype.parent)
        if parent not in above:
            above[parent] = {row[0] for row in creation.tx.rows(_ABOVE, (parent,))}
        if not above[parent].isdisjoint(map(creation.resolve, references)):
            raise DependencyCycleError(
                f"task {parent} waits for its children, so none of them can wait for it"
            )


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _requirements(creation: _Creation, prototype: Prototype, parent: _Parent | None) -> int:
    requirements = prototype.requirements
    if requirements is not None and requirements is creation.latest:
        return creation.latest_id
    if requirements is None:
        assert parent is not None, "only a child may leave its requirements to its parent"
        if not prototype.needs:
            return parent.requirements
        inherited = shared.fetch_requirements(creation.tx.rows, parent.requirements)
        requirements = replace(inherited, **prototype.needs)
    if requirements.limits is not None:
        creation.check_limits(requirements)
    creation.latest = requirements  # most come by the thousand, with one object for all
    creation.latest_id = creation.stored("requirements", requirements, requirements)
    return creation.latest_id


def _environment(creation: _Creation, environ: Any, parent: _Parent | None) -> int | None:
    if environ is None:
        return None if parent is None else parent.environment
    return creation.stored("environment", id(environ), environ)
