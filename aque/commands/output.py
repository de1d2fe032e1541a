"""aque-output: show what tasks have written."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from aque.commands import entry, options

if TYPE_CHECKING:
    from aque.queue import Queue


@click.command()
@options.broker_option
@click.option("-w", "--watch", is_flag=True, help="Follow until all have ended; exit as they did.")
@click.option("--stdout", "only_stdout", is_flag=True, help="Standard output only.")
@click.option("--stderr", "only_stderr", is_flag=True, help="Standard error only, to stdout.")
@options.ids_argument()
def output(
    broker: str | None, watch: bool, only_stdout: bool, only_stderr: bool, ids: Sequence[str]
) -> int:
    """Show what tasks have written, byte for byte.

    Standard output goes to standard output and standard error to standard error, unless one of them
    is chosen. Of a group, it is what its children have written, in order. With --watch the exit
    status is the task's own, of several the highest.

    \b
    aque-output 7
    aque-output -w last
    """
    from aque.commands import following

    queue = options.open_queue(broker)
    wanted = options.resolve(queue.broker, ids)
    streams, write = [following.STDOUT, following.STDERR], following.write_through
    if only_stdout != only_stderr:
        streams = [following.STDOUT if only_stdout else following.STDERR]
        write = following.write_here
    if watch:
        options.note_missing_worker(queue, "aque-output", wanted)
        return following.follow(queue.broker, wanted, streams, write, options.recovery(queue))
    following.show(queue.broker, _with_members(queue, wanted), streams, write)
    return 0


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
