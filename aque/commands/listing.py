"""Own what aque-status shows: which tasks, as a tree, as lines, or as data."""

from __future__ import annotations

import io
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from aque import states, trust
from aque.brokers.base import Broker
from aque.brokers.questions import Condition, Selection
from aque.commands import filters, lines, lost, options, records, terminal, tree
from aque.commands.lines import Line
from aque.commands.lost import Dead
from aque.commands.tree import Tree
from aque.errors import UsageError
from aque.record import record, replace
from aque.task import Task

#: Lines, or tasks, that people are shown unless they ask for all.
LIMIT = 100
#: Tasks that ended so many seconds ago are still shown.
RECENT = 24 * 3600.0
#: Levels below the first.
DEPTH = 3
#: Of so many that failed last a listing tells, though there is more than it has room for.
_FAILED = 10
#: The band of a listing in which what runs stands.
_RUNS = 2
#: Of so many tasks that are named it is said why they failed, or how they ran before.
_EXPLAINED = 3
#: Seconds between two looks of a watch, at least.
_SHORTEST = 0.1


@record(frozen=True)
class Request:
    """What the options of one call say."""

    broker: str | None
    ids: Sequence[str]
    depth: int | None
    flat: bool
    statuses: Sequence[str]
    all_users: bool
    filters: Sequence[str]
    csv: str | None
    as_json: bool
    pattern: str | None
    since: float | None
    show_all: bool
    color: str

    @property
    def is_narrowed(self) -> bool:
        return bool(self.statuses or self.filters)


def show(request: Request) -> None:
    write = records.writer(request.as_json, request.csv, request.pattern)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A locale that cannot show all names; for programs, bytes that are no text stay bytes.
        sys.stdout.reconfigure(
            errors="backslashreplace" if write is None else records.error_handler()
        )
    asked = _asked(request)
    broker = options.open_broker(request.broker)
    if write is not None:
        write(broker.select(_scope(request, broker, asked)), lost.dead_workers(broker))
        return
    kinds: Mapping[str, int] = {}
    if request.flat or request.is_narrowed:
        shown, left = _flat(request, broker, _scope(request, broker, asked))
    elif request.ids:
        shown, left = _tree_of(request, broker, options.resolve(broker, request.ids))
    else:
        shown, left, kinds = _tree(request, broker)
    dead = lost.dead_workers(broker)
    _print(shown, terminal.look(request.color), dead)
    if request.ids and not (request.flat or request.is_narrowed):
        _explain(broker, options.resolve(broker, request.ids))
    for said in lost.tell([line.task for line in shown if line.task], dead):
        terminal.tell(said)
    if left:
        terminal.tell(_said_left(left, kinds))
    elif not (shown or request.ids or request.is_narrowed):
        terminal.tell(_said_nothing(broker))


def watch(request: Request, interval: float) -> int:
    """Show what is asked for over the whole screen."""
    from aque.commands import watch
    from aque.queue import Queue

    if interval < _SHORTEST:
        raise UsageError(f"--watch {interval:g}: no oftener than each {_SHORTEST:g} seconds")
    asked = _asked(request)
    broker = options.open_broker(request.broker)
    return watch.show(Queue(broker), _scope(request, broker, asked), interval, request.color)


def user_of(within: Selection) -> str | None:
    """Return whose tasks alone are meant."""
    return next((c.value for c in within.conditions if c.key == "user" and c.operator == "="), None)


def _asked(request: Request) -> Selection:
    return Selection(
        [filters.parse(text) for text in request.filters], filters.statuses(request.statuses)
    )


def _scope(request: Request, broker: Broker, asked: Selection) -> Selection:
    """Return what is asked for among the tasks named, else among those of our own of late."""
    if request.ids:
        ids = options.resolve(broker, request.ids)
        if request.is_narrowed or request.depth is not None:
            ids = _with_below(broker, ids, request.depth or 0)
        return replace(asked, ids=ids)
    if request.depth is not None:
        raise UsageError("--depth goes with IDS here; name some, or leave it out")
    conditions = list(asked.conditions)
    if not request.all_users:
        conditions.append(Condition("user", "=", trust.user_name()))
    return replace(asked, conditions=conditions, ended_since=_ended_since(request))


def _ended_since(request: Request) -> float | None:
    if request.since is None and request.show_all:
        return None
    return time.time() - (RECENT if request.since is None else request.since)


def _with_below(broker: Broker, ids: Sequence[int], depth: int) -> list[int]:
    """Return these ids and those `depth` levels below them (0: all)."""
    found = dict.fromkeys(ids)
    level = list(found)
    while level:
        below = dict.fromkeys(edge.dependency for edge in broker.edges(level))
        level = [id for id in below if id not in found]
        found.update(dict.fromkeys(level))
        depth -= 1
        if depth == 0:
            break
    return list(found)


def _flat(request: Request, broker: Broker, scope: Selection) -> tuple[list[Line], int]:
    limit = None if request.show_all else LIMIT
    tasks = broker.select(scope, limit)
    left = broker.count(scope) - len(tasks) if len(tasks) == limit else 0
    if left and not request.ids and not scope.statuses:
        tasks = _telling(broker, scope)
    return [Line(task) for task in tasks], left


def _telling(broker: Broker, scope: Selection) -> list[Task]:
    """Return as many tasks as there is room for, those that failed last among them, in bands."""
    failed = broker.select(replace(scope, statuses=[states.ERROR]), _FAILED)
    tasks = broker.select(scope, LIMIT)
    tasks.sort(key=lambda task: (_band(task), task.id), reverse=True)
    found = {task.id: task for task in (*failed, *tasks)}
    return _in_bands(broker, list(found.values())[:LIMIT])


def _tree(request: Request, broker: Broker) -> tuple[list[Line], int, Mapping[str, int]]:
    """Draw the tasks that nothing shown stands above, as many as there is room for.

    Returned too are how many are left out, and of which states they are. Where some are, what
    matters stands last, next to the prompt.
    """
    user = None if request.all_users else trust.user_name()
    since = _ended_since(request) or 0.0
    tasks, counts = broker.roots(since, None if request.show_all else LIMIT, user)
    shown = list(_new_tree(request, broker).draw(_by_id(tasks)))
    if not request.show_all and (len(shown) > LIMIT or sum(counts.values()) > len(tasks)):
        tasks = tasks[: _count_fitting(request, broker, tasks)]
        shown = list(_new_tree(request, broker).draw(_in_bands(broker, tasks)))
    left = Counter(counts) - Counter(task.status for task in tasks)
    hidden = 0 if request.show_all else max(0, len(shown) - LIMIT)
    return shown[: len(shown) - hidden], left.total() + hidden, left


def _count_fitting(request: Request, broker: Broker, tasks: Sequence[Task]) -> int:
    """Return of how many of these the trees fit into the limit; one is always taken."""
    room = LIMIT
    for number, task in enumerate(tasks):
        room -= sum(1 for _ in islice(_new_tree(request, broker).draw([task]), LIMIT + 1))
        if room < 0:
            return max(number, 1)
    return len(tasks)


def _tree_of(request: Request, broker: Broker, ids: Sequence[int]) -> tuple[list[Line], int]:
    """Draw the tasks named, those under another only there, unless they were not drawn there."""
    drawing = _new_tree(request, broker)
    given = set(ids)
    edges = broker.dependents(ids) if len(ids) > 1 else ()
    lower = {edge.dependency for edge in edges if edge.task in given}
    roots = [id for id in ids if id not in lower]
    is_cut = len(roots) > LIMIT and not request.show_all
    tops = _telling(broker, Selection(ids=roots)) if is_cut else broker.fetch(roots)
    shown = list(drawing.draw(tops))
    hidden = [id for id in ids if id not in drawing.drawn]
    for task in broker.fetch(hidden[:LIMIT]):
        if task.id not in drawing.drawn and len(shown) < LIMIT:
            shown += drawing.draw([task])
    return shown, sum(1 for id in hidden if id not in drawing.drawn)


def _new_tree(request: Request, broker: Broker) -> Tree:
    art = tree.UNICODE if terminal.look().has_unicode else tree.ASCII
    depth = DEPTH if request.depth is None else request.depth
    return Tree(broker, depth, art, request.show_all)


def _in_bands(broker: Broker, roots: Iterable[Task]) -> list[Task]:
    """Return them with what matters last, next to the prompt, each kind by id.

    What waits for something that runs is as good as running.
    """
    tasks = _by_id(roots)
    below = broker.count_dependencies([t.id for t in tasks if t.status in states.WAITING_STATES])
    busy = {id for id, counts in below.items() if counts.get(states.RUNNING)}
    return sorted(tasks, key=lambda task: max(_band(task), _RUNS if task.id in busy else 0))


def _band(shown: Task) -> int:
    """Return where a task stands in a listing: what failed last, before it what runs."""
    if shown.status == states.ERROR:
        return _RUNS + 1
    if shown.status == states.RUNNING or (shown.is_group and not shown.is_complete):
        return _RUNS
    return 0 if shown.is_complete else _RUNS - 1


def _by_id(tasks: Iterable[Task]) -> list[Task]:
    return sorted(tasks, key=lambda task: task.id)


def _print(shown: Sequence[Line], screen: terminal.Terminal, dead: Dead) -> None:
    for text in lines.layout(shown, screen, time.time(), dead):
        print(text)
    sys.stdout.flush()


def _explain(broker: Broker, ids: Sequence[int]) -> None:
    """Say of the tasks named what made those fail that have, then how others ran before."""
    from aque.commands import details

    tasks = sorted(broker.fetch(ids[:LIMIT]), key=lambda task: task.status != states.ERROR)
    texts = filter(None, ("\n".join(details.describe(broker, task)) for task in tasks))
    for text in islice(texts, _EXPLAINED):
        print("\n" + text)
    sys.stdout.flush()


def _said_left(left: int, kinds: Mapping[str, int]) -> str:
    """Say how much was left out, and in which states that is."""
    told = [f"{kinds[status]:,} {status}" for status in states.STATES if kinds.get(status)]
    return f"... and {left:,} more{': ' if told else ''}{', '.join(told)}; --all shows them"


def _said_nothing(broker: Broker) -> str:
    if broker.last_id() is None:
        return "nothing here; aque-submit echo hello makes a first task"
    return "nothing now; --all shows older tasks, -x other users'"
