"""aque-pause: hold tasks that wait, stop tasks that run."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from aque.commands import entry, options


@click.command()
@options.broker_option
@options.ids_argument()
def pause(broker: str | None, ids: Sequence[str]) -> int:
    """Hold tasks that wait, and stop (SIGSTOP) those that run, their children too.

    A stopped task keeps what it holds: its cpus, its memory, its tokens.

    \b
    aque-pause 7
    aque-pause 3-9
    """
    from aque.commands import patience

    queue = options.open_queue(broker)
    wanted = queue.with_children(options.resolve(queue.broker, ids))
    with patience.telling("aque-pause", wanted):
        changed = queue.broker.pause(wanted)
    if not changed:
        return entry.complain("aque-pause", "none of these is pending or running", 1)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    return entry.run(pause, "aque-pause", arguments)


if __name__ == "__main__":
    sys.exit(main())
