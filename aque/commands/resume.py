"""aque-resume: let paused tasks go on."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from aque.commands import entry, options


@click.command()
@options.broker_option
@options.ids_argument()
def resume(broker: str | None, ids: Sequence[str]) -> int:
    """Let tasks that were paused or submitted with --hold go on, their children too.

    \b
    aque-resume 7
    aque-resume all
    """
    from aque.commands import patience

    queue = options.open_queue(broker)
    wanted = queue.with_children(options.resolve(queue.broker, ids))
    with patience.telling("aque-resume", wanted):
        changed = queue.broker.resume(wanted)
    if not changed:
        return entry.complain("aque-resume", "none of these is paused", 1)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    return entry.run(resume, "aque-resume", arguments)


if __name__ == "__main__":
    sys.exit(main())
