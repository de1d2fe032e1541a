"""aque-output: show what tasks have written."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from aque.commands import entry, options

if TYPE_CHECKING:
    from aque.queue import Queue
    from aque.reading import Write


@click.command()
@options.broker_option
@click.option("-w", "--watch", is_flag=True, help="Follow until all have ended; exit as they did.")
@click.option("--stdout", "only_stdout", is_flag=True, help="Standard output only.")
@click.option("--stderr", "only_stderr", is_flag=True, help="Standard error only, to stdout.")
@click.option("--log", "only_log", is_flag=True, help="What it logged, with time and level.")
@options.ids_argument()
def output(broker: str | None, watch: bool, ids: Sequence[str], **chosen: bool) -> int:
    """Show what tasks have written, byte for byte.

    Standard output goes to standard output and standard error to standard error, unless one of them
    or the log is chosen. Of a group, it is what its children have written, in order. With --watch
    the exit status is the task's own, of several the highest.

    \b
    aque-output 7
    aque-output -w last
    """
    from aque.commands import following

    queue = options.open_queue(broker)
    wanted = options.resolve(queue.broker, ids)
    streams, write = _choose(chosen)
    if watch:
        options.note_missing_worker(queue, "aque-output", wanted)
        return following.follow(queue.broker, wanted, streams, write, options.recovery(queue))
    following.show(queue.broker, _with_members(queue, wanted), streams, write)
    return 0


def _choose(chosen: Mapping[str, bool]) -> tuple[list[str], Write]:
    """Return the streams to show, and what writes them where they belong."""
    from aque import reading
    from aque.commands import following

    wanted = [name for name in ("stdout", "stderr", "log") if chosen[f"only_{name}"]]
    if len(wanted) > 1 and "log" in wanted:
        raise click.UsageError(f"--{wanted[0]} and --log exclude each other")
    if len(wanted) != 1:
        return [reading.STDOUT, reading.STDERR], following.write_through
    return wanted, following.LogWriter() if wanted == ["log"] else following.write_here


def _with_members(queue: Queue, ids: Sequence[int]) -> list[int]:
    """Put the children of groups, which write nothing themselves, in their place, in order."""
    found: dict[int, None] = {}
    for task in queue.broker.fetch(ids):
        members = sorted(queue.with_children([task.id])) if task.is_group else [task.id]
        found.update(dict.fromkeys(members))
    return list(found)


def main(arguments: Sequence[str] | None = None) -> int:
    return entry.run(output, "aque-output", arguments)


if __name__ == "__main__":
    sys.exit(main())
