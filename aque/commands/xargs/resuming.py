"""Own how an earlier run is taken up again: what it was asked to do, and how far it had come.

With the input given again, its batches are compared with those that are recorded before anything
runs: the same, in the same order, or nothing is run. What comes after them is new. Without input
(a terminal, or none) it is what had been read that is run.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator

from aque import brokers, codec, states
from aque.brokers.base import Broker
from aque.brokers.questions import Condition
from aque.commands.xargs import options as parsing
from aque.commands.xargs import say
from aque.commands.xargs.backlog import Earlier
from aque.commands.xargs.settings import Options
from aque.commands.xargs.source import Entry, Source
from aque.errors import StateError, UsageError
from aque.task import Task
from aque.worker import host, recovery
from aque.worker.liveness import Observer

_PAGE = 500


def recall(options: Options) -> Options:
    """Return the options of a run to be resumed: its own, with those given now after them.

    Raises AqueError where there is no such run.
    """
    assert options.resume is not None
    broker = brokers.from_url(options.broker, durable=False, create=False)
    recovery.recover(Observer(broker, host.this_host()))  # it may have been killed
    (group,) = broker.fetch([options.resume or broker.last_id() or 1])
    broker.close()
    told = None if group.extra is None else codec.decode(group.extra)
    if not group.is_group or not isinstance(told, dict) or "command" not in told:
        raise StateError(f"task {group.id} is no run of aque-xargs")
    command = options.command if options.has_command else told["command"]
    argv = [*told["options"], *options.words, "--", *command]
    return dataclasses.replace(
        parsing.parse(argv, os.environb),
        broker=options.broker,
        resume=group.id,
        arg_file=options.arg_file,
        no_run_if_empty=True,
    )


def compare(options: Options, source: Source) -> list[Entry]:
    """Read what is recorded of the run to be resumed; return what was read beyond it.

    Raises UsageError where the input differs.
    """
    assert options.resume is not None
    broker = brokers.from_url(options.broker, durable=False, create=False)
    try:
        return _compare(broker, options.resume, source)
    finally:
        broker.close()


def _compare(broker: Broker, group: int, source: Source) -> list[Entry]:
    found: list[Entry] = []
    if source.is_typed:
        source.is_over = True
        _tell_cut_off(broker, group)
        return found
    for number, task in enumerate(children(broker, group), 1):
        while not found and not source.is_over:
            found += source.wait_and_read()
        while found and isinstance(found[0], str):
            say(str(found.pop(0)))
        if not found and number == 1:
            _tell_cut_off(broker, group)
            return found
        entry = found.pop(0) if found else None
        if not isinstance(entry, list) or _text(entry) != task.args:
            has = "has ended" if entry is None else "differs"
            raise UsageError(f"the input {has} at command {number} of task {group}; none was run")
    return found


def _tell_cut_off(broker: Broker, group: int) -> None:
    """Say that a run that was ended may have had more input than is recorded."""
    if broker.count_children([group]).get(group, {}).get(states.CANCELLED):
        say(
            f"running what had been read when task {group} was ended; if its input had more, "
            f"give it again: ... | aque-xargs --resume {group}"
        )


def earlier(broker: Broker, group: int, beyond: list[Entry]) -> Earlier:
    """Return what a run that was reopened has left to do, and what was read beyond it."""
    count = sum(broker.count_children([group]).get(group, {}).values())
    numbered = enumerate(children(broker, group), 1)
    left = ((number, task) for number, task in numbered if task.status == states.PENDING)
    return Earlier(left, count, beyond)


def children(broker: Broker, group: int, *conditions: Condition) -> Iterator[Task]:
    """Yield the children of a group in their order."""
    last = 0
    while True:
        after = (Condition("parent", "=", group), Condition("id", ">", last), *conditions)
        page = broker.search(after, limit=_PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1].id


def _text(argv: list[bytes]) -> str:
    return codec.encode([os.fsdecode(word) for word in argv], "args")
