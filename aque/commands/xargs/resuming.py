"""Own how an earlier run is taken up again: what it was asked to do, and how far it had come.

With the input given again, its batches are compared with those that are recorded before anything
runs: the same, in the same order, or nothing is run. What comes after them is new. Without input
(a terminal, or none) it is what had been read that is run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from aque import brokers, codec, runs, states, trust
from aque import task as tasks
from aque.brokers.base import Broker
from aque.brokers.questions import Condition
from aque.commands.xargs import options as parsing
from aque.commands.xargs import quoting, say
from aque.commands.xargs.backlog import Earlier
from aque.commands.xargs.settings import LAST, Options
from aque.commands.xargs.source import Entry, Source
from aque.errors import StateError, UsageError
from aque.record import replace
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
    group = _last_run(broker) if options.resume == LAST else broker.fetch([options.resume])[0]
    broker.close()
    told = _told(group)
    if told is None:
        raise StateError(f"task {group.id} is no run of aque-xargs")
    if group.status == states.CREATING:
        raise StateError(f"task {group.id} is still at work; aque-kill {group.id} ends it")
    _refuse_what_is_its_own(options, group, told["command"])
    argv = [*told["options"], *options.words, "--", *told["command"]]
    return replace(
        parsing.parse(argv, os.environb),
        broker=options.broker,
        resume=group.id,
        arg_file=options.arg_file,
        detach=options.detach,
        dry_run=options.dry_run,
        show_limits=options.show_limits,
        no_run_if_empty=True,
    )


def _refuse_what_is_its_own(options: Options, group: Task, command: Sequence[str]) -> None:
    """Raise UsageError for what cannot be different from what it was."""
    if options.has_command and [*options.command] != [*command]:
        raise UsageError(f"task {group.id} ran {quoting.quote(command)}; leave the command out")
    if options.name not in (None, group.name):
        raise UsageError(f"task {group.id} has its name; leave --name out")
    if options.priority not in (None, group.priority):
        raise UsageError(f"leave --priority out; aque-priority changes that of task {group.id}")


def find_runs(broker: Broker) -> Iterator[Task]:
    """Yield the groups of the runs that are ours, the newest first."""
    before = 1 << 62
    ours = (Condition("pattern", "=", None), Condition("user", "=", trust.user_name()))
    while True:
        conditions = (*ours, Condition("id", "<", before))
        page = broker.search(conditions, newest_first=True, limit=_PAGE)
        yield from (group for group in page if _told(group) is not None)
        if len(page) < _PAGE:
            return
        before = page[-1].id


def _last_run(broker: Broker) -> Task:
    """Return the last run that is ours. Raises StateError where there is none."""
    last = next(find_runs(broker), None)
    if last is None:
        raise StateError("there is no run to resume")
    return last


def _told(group: Task) -> dict[str, Any] | None:
    """Return the options and the command of a run; None for what is no run."""
    return runs.told(group.extra) if group.is_group else None


def compare(options: Options, source: Source) -> list[Entry] | None:
    """Read what is recorded of the run to be resumed; return what was read beyond it.

    It is None where there is no input, though that of the run had not been read to its end. Raises
    UsageError where the input differs.
    """
    assert options.resume is not None
    broker = brokers.from_url(options.broker, durable=False, create=False)
    try:
        return _compare(broker, options.resume, source)
    finally:
        broker.close()


def _compare(broker: Broker, group: int, source: Source) -> list[Entry] | None:
    found: list[Entry] = []
    if source.is_typed:
        source.is_over = True
        return _without_input(broker, group)
    for number, task in enumerate(_children(broker, group), 1):
        while not found and not source.is_over:
            found += source.wait_and_read()
        while found and isinstance(found[0], str):
            say(str(found.pop(0)))
        if not found and number == 1:
            return _without_input(broker, group)
        entry = found.pop(0) if found else None
        if not isinstance(entry, list) or _text(entry) != task.args:
            has = "has ended" if entry is None else "differs"
            raise UsageError(f"the input {has} at command {number} of task {group}; none was run")
    return found


def _without_input(broker: Broker, group: int) -> list[Entry] | None:
    """Say where the input of a run had not been read to its end: more of it may be lost."""
    is_cut_off = runs.is_cut_off(broker.fetch([group])[0])
    if is_cut_off:
        say(
            f"task {group} was ended before its input was; running what had been read. For the "
            f"rest give it again: ... | aque-xargs --resume {group}"
        )
    return None if is_cut_off else []


def earlier(broker: Broker, group: int, beyond: list[Entry] | None) -> Earlier:
    """Return what a run that was reopened has left to do, and what was read beyond it."""
    count = sum(broker.count_children([group]).get(group, {}).values())
    numbered = enumerate(_children(broker, group), 1)
    left = ((number, task) for number, task in numbered if task.status == states.PENDING)
    return Earlier(left, count, beyond or (), is_cut_off=beyond is None)


def rest(options: Options, beyond: list[Entry] | None) -> Iterator[Entry]:
    """Yield the commands that would run: what did not succeed, and what was read `beyond` it."""
    assert options.resume is not None
    broker = brokers.from_url(options.broker, durable=False, create=False)
    for task in _children(broker, options.resume):
        if task.status != states.SUCCESS:
            yield [os.fsencode(word) for word in tasks.shell_words(task) or []]
    broker.close()
    yield from beyond or ()


def _children(broker: Broker, group: int) -> Iterator[Task]:
    """Yield the children of a group in their order."""
    last = 0
    while True:
        after = (Condition("parent", "=", group), Condition("id", ">", last))
        page = broker.search(after, limit=_PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1].id


def _text(argv: list[bytes]) -> str:
    return codec.encode([os.fsdecode(word) for word in argv], "args")
