"""aque-output: show what tasks have written."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from aque.commands import entry, options

if TYPE_CHECKING:
    from aque.commands.following import Style
    from aque.queue import Queue


@click.command()
@options.broker_option
@click.option("-w", "--watch", is_flag=True, help="Follow until all have ended; exit as they did.")
@click.option("--stdout", "only_stdout", is_flag=True, help="Standard output only.")
@click.option("--stderr", "only_stderr", is_flag=True, help="Standard error only, to stdout.")
@click.option("--log", "only_log", is_flag=True, help="What it logged, with time and level.")
@click.option("--tail", type=click.IntRange(0), metavar="N", help="Only the last N lines of each.")
@click.option("--attempt", type=click.IntRange(1), metavar="N", help="Of this attempt.")
@click.option("--tag", "has_tag", is_flag=True, help="Write the id before each line.")
@click.option("--timestamps", "has_times", is_flag=True, help="Write when before each line.")
@options.ids_argument()
def output(broker: str | None, watch: bool, ids: Sequence[str], **given: Any) -> int:
    """Show what tasks have written, byte for byte.

    Standard output goes to standard output and standard error to standard error, unless one of them
    or the log is chosen. Of a group, it is what its children have written, in order. With --watch
    the exit status is the task's own, of several the highest.

    \b
    aque-output 7
    aque-output -w last
    """
    from aque.commands import following

    style = _style(given)
    if watch and style.attempt is not None:
        raise click.UsageError("--watch follows the latest attempt; --attempt is without it")
    queue = options.open_queue(broker)
    wanted = options.resolve(queue.broker, ids)
    if watch:
        options.note_missing_worker(queue, "aque-output", wanted)
        return following.follow(queue.broker, wanted, style, options.recovery(queue))
    members = _with_members(queue, wanted)
    following.show(queue.broker, members, style, is_group=members != wanted)
    return 0


def _style(given: dict[str, Any]) -> Style:
    """Return what the options ask for."""
    from aque import reading
    from aque.commands import following

    names = (reading.STDOUT, reading.STDERR, reading.LOG)
    wanted = tuple(name for name in names if given.pop(f"only_{name}"))
    is_log = reading.LOG in wanted
    if len(wanted) > 1 and is_log:
        raise click.UsageError(f"--{wanted[0]} and --log exclude each other")
    if len(wanted) != 1:
        return following.Style(**given)
    return following.Style(wanted, following.write_here, is_log=is_log, **given)


def _with_members(queue: Queue, ids: Sequence[int]) -> list[int]:
    """Put the children of groups, which write nothing themselves, in their place, in order."""
    from aque.brokers.questions import Condition, Selection

    found: dict[int, None] = {}
    are_groups = Selection([Condition("pattern", "=", None)], ids=ids)
    groups = {group.id for group in queue.broker.select(are_groups)}
    for id in ids:
        members = sorted(queue.with_children([id])) if id in groups else [id]
        found.update(dict.fromkeys(members))
    return list(found)


def main(arguments: Sequence[str] | None = None) -> int:
    return entry.run(output, "aque-output", arguments)


if __name__ == "__main__":
    sys.exit(main())
