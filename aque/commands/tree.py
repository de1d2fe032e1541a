"""Own the tree: tasks over their children over what they wait for, each drawn once.

What is below a task may be a hundred thousand children, so nothing here asks for all of them: a
wide list is counted by state, and of its tasks only the first that run or have failed are fetched.
The tree is walked with a stack, since a chain of dependencies may be longer than Python's.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Protocol

from aque import states
from aque.commands import lines
from aque.commands.lines import Line
from aque.record import record, replace
from aque.task import Task

#: Up to so many children, or dependencies, are drawn each.
WIDE = 10
#: Of a wider list the first few of each of these states are.
_TELLING = (states.RUNNING, states.ERROR)
_FEW = 3
#: In this order the states of a wide list are told, or backwards where not all find room.
_TOLD = (
    states.SUCCESS,
    states.CREATING,
    states.PAUSED,
    states.PENDING,
    states.RUNNING,
    states.CANCELLED,
    states.ERROR,
)
#: What may be below a task.
CHILDREN, DEPENDENCIES = "children", "dependencies"
#: From this level on lines are not indented further.
_DEEPEST = 20

Counts = Mapping[str, int]
#: What leads to a task from the one above: with others to come, and as the last.
Joint = tuple[str, str]


class Source(Protocol):
    """What a tree asks for: a Broker, or who answers for one."""

    def children(self, parent: int, limit: int, statuses: Sequence[str] = ...) -> list[Task]: ...
    def dependencies(self, id: int, limit: int, statuses: Sequence[str] = ...) -> list[Task]: ...
    def count_children(self, ids: Sequence[int]) -> Mapping[int, Counts]: ...
    def count_dependencies(self, ids: Sequence[int]) -> Mapping[int, Counts]: ...


class Fetch(Protocol):
    """`broker.children` or `broker.dependencies`."""

    def __call__(self, id: int, limit: int, statuses: Sequence[str] = ..., /) -> list[Task]: ...


@record(frozen=True)
class Art:
    """What lines are joined by: to a child, to a dependency, and past others below."""

    child: Joint
    dependency: Joint
    past: str


UNICODE = Art(("├─ ", "└─ "), ("├╌ ", "└╌ "), "│  ")
ASCII = Art(("|- ", "`- "), ("|. ", "`. "), "|  ")
_TOP = ("", "")


@record(frozen=True)
class _Entry:
    """A line still to be drawn, and what is known of the tasks below it."""

    line: Line
    under: str
    level: int
    children: Counts
    dependencies: Counts


class Tree:
    """Draws tasks `depth` levels down (0: all), and draws none twice.

    With `is_whole` wide lists are drawn in full. What is below the `folded` is not drawn.
    """

    def __init__(
        self,
        source: Source,
        depth: int,
        art: Art,
        is_whole: bool = False,
        folded: Container[int] = (),
    ) -> None:
        self._source = source
        self._folded = folded
        self._depth = depth
        self._art = art
        self._is_whole = is_whole
        self.drawn: set[int] = set()

    def draw(self, roots: Sequence[Task]) -> Iterator[Line]:
        """Return the lines of these tasks and what is below them."""
        stack = self._entries([(_TOP, Line(root)) for root in roots], "", 0)
        stack.reverse()
        while stack:
            entry = stack.pop()
            task = entry.line.task
            if task is None:
                yield entry.line
            elif task.id in self.drawn:
                yield Line(None, entry.line.lead, f"#{task.id} (above)")
            else:
                self.drawn.add(task.id)
                yield entry.line
                stack += reversed(self._below(entry, task))

    def _entries(
        self, joined: Sequence[tuple[Joint, Line]], under: str, level: int
    ) -> list[_Entry]:
        """Make the entries of siblings, asking for all at once what is below them."""
        ids = [line.task.id for _, line in joined if line.task and line.task.id not in self.drawn]
        children = self._source.count_children(ids)
        dependencies = self._source.count_dependencies(ids)
        entries = []
        for number, (joint, line) in enumerate(joined, 1):
            is_last = number == len(joined)
            past = "" if joint is _TOP or level > _DEEPEST else "   " if is_last else self._art.past
            key = line.task.id if line.task else 0
            counts = children.get(key, {}), dependencies.get(key, {})
            part = lines.part_of_run(line.task, counts[0]) if line.task else None
            tail = self._tail(key, level, counts)
            drawn = replace(line, lead=under + joint[is_last], tail=tail, part=part)
            entries.append(_Entry(drawn, under + past, level, *counts))
        return entries

    def _tail(self, id: int, level: int, counts: Sequence[Counts]) -> str:
        """Say how much is not drawn below."""
        below = sum(sum(count.values()) for count in counts)
        return f" (+{below:,} below)" if below and self._is_closed(id, level) else ""

    def _is_closed(self, id: int, level: int) -> bool:
        return id in self._folded or 0 < self._depth <= level

    def _below(self, entry: _Entry, task: Task) -> list[_Entry]:
        if self._is_closed(task.id, entry.level):
            return []
        children, dependencies = entry.children, entry.dependencies
        below = [
            *self._list(self._source.children, task.id, children, CHILDREN),
            *self._list(self._source.dependencies, task.id, dependencies, DEPENDENCIES),
        ]
        return self._entries(below, entry.under, entry.level + 1)

    def _list(
        self, fetch: Fetch, id: int, counts: Counts, noun: str
    ) -> Iterator[tuple[Joint, Line]]:
        """Return the lines of one list below a task: all of it, or if it is wide, a sum and few."""
        joint = self._art.child if noun == CHILDREN else self._art.dependency
        total = sum(counts.values())
        if self._is_whole or total <= WIDE:
            tasks = fetch(id, total) if total else []
        else:
            text, short = summary(counts, noun), summary(counts, noun, _TOLD[::-1])
            yield joint, Line(None, text=text, short=short, of=(id, noun))
            tasks = [t for s in _TELLING if counts.get(s) for t in fetch(id, _FEW, (s,))]
        for task in tasks:
            yield joint, Line(task)


def summary(counts: Counts, noun: str, order: Sequence[str] = _TOLD) -> str:
    """Say how many there are, and how many in each state."""
    told = [f"{counts[status]:,} {status}" for status in order if counts.get(status)]
    return f"{sum(counts.values()):,} {noun}: {', '.join(told)}"
