"""Own the values that a command line may be completed with: ids with what they are, limits, hosts.

A queue that is not there, or not ours, has none; no queue is made by looking for some.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Sequence
from itertools import islice

from aque import brokers, states, task
from aque.brokers.base import Broker
from aque.brokers.questions import Selection
from aque.brokers.settings import DEFAULTS
from aque.task import Task

#: What operands are, by the command.
OPERANDS = {
    **dict.fromkeys("kill output pause priority resume retry rm status wait".split(), "ids"),
    "limit": "limits",
}
#: What an option's value is, by its parameter's name.
BY_OPTION = {
    "after": "ids",
    "after_any": "ids",
    "parent": "id",
    "resume": "runs",
    "limits": "limits",
    "limit": "limits",
    "host": "hosts",
    "number": "signals",
    "statuses": "states",
    "filters": "keys",
    "csv": "keys",
    "changes": "settings",
    "broker": "\tfile",
}

_UNFINISHED = tuple(s for s in states.STATES if s not in states.COMPLETE_STATES)
#: The tasks that a command can do something with; all, where it is not here.
_USEFUL = {
    "kill": _UNFINISHED,
    "wait": _UNFINISHED,
    "pause": _UNFINISHED,
    "priority": _UNFINISHED,
    "resume": _UNFINISHED,
    "retry": tuple(states.COMPLETE_STATES),
    "rm": _UNFINISHED + tuple(states.COMPLETE_STATES),
}
#: So many tasks are offered, the newest ones.
_MOST = 100

Found = Sequence[tuple[str, str]]


def find(kind: str, command: str, begin: str, url: str | None) -> Found:
    """Return the values of a kind that begin so, each with what it means.

    Raises AqueError or OSError where the queue cannot be used.
    """
    if kind.startswith("choice "):
        return _fitting(begin, ((word, "") for word in kind.split()[1:]))
    if kind == "signals":
        return _fitting(begin.upper(), ((s.name[3:], "") for s in signal.Signals))
    if kind == "states":
        return _fitting(begin, ((state, "") for state in states.STATES))
    if kind == "settings":
        return _fitting(
            begin, ((f"{key}=", f"now or by default {n:g}") for key, n in DEFAULTS.items())
        )
    if kind == "keys":
        return _after_comma(begin, [(key, "") for key in task.KEYS])
    broker = brokers.from_url(url, create=False)
    if kind == "ids":
        return _after_comma(begin, _ids(broker, command))
    if kind == "id":
        return _fitting(begin, _ids(broker, command)[:-1])  # not all
    if kind == "runs":
        return _fitting(begin, _runs(broker))
    if kind == "limits":
        limits = broker.limits()
        return _fitting(begin, ((n, f"{x.used} of {x.capacity} taken") for n, x in limits.items()))
    names = {name: worker.name for worker in broker.workers() for name in worker.names.split()}
    return _fitting(begin, names.items())


def _ids(broker: Broker, command: str) -> Found:
    found = broker.select(Selection(statuses=_USEFUL.get(command, ())), _MOST)
    newest = sorted(found, key=lambda shown: -shown.id)
    return [*_told(newest), ("last", "the one submitted last"), ("all", "all there are")]


def _runs(broker: Broker) -> Found:
    from aque.commands.xargs import resuming

    return [*_told(islice(resuming.find_runs(broker), _MOST)), ("last", "the last run")]


def _told(shown: Iterable[Task]) -> Found:
    return [(str(t.id), f"{t.status} {task.label(t)}"[:60]) for t in shown]


def _after_comma(begin: str, found: Found) -> Found:
    """Complete the last of several words that are parted by commas."""
    head, comma, last = begin.rpartition(",")
    return [(head + comma + value, text) for value, text in _fitting(last, found)]


def _fitting(begin: str, found: Iterable[tuple[str, str]]) -> Found:
    return [(value, text) for value, text in found if value.startswith(begin)]
