"""aque-priority: change which tasks go first."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from aque.commands import entry, options

_LARGEST = (1 << 63) - 1


@click.command(context_settings={"ignore_unknown_options": True})  # of which -5 would be one
@options.broker_option
@click.argument("priority", type=click.IntRange(-_LARGEST, _LARGEST))
@options.ids_argument()
def priority(broker: str | None, priority: int, ids: Sequence[str]) -> int:
    """Give tasks this priority, their children too; larger goes first, 1000 is the usual one.

    What runs is left alone, and has it in its next attempt.

    \b
    aque-priority 2000 7
    aque-priority 0 3-9
    """
    from aque.commands import patience

    queue = options.open_queue(broker)
    wanted = queue.with_children(options.resolve(queue.broker, ids))
    with patience.telling("aque-priority", wanted):
        changed = queue.broker.prioritize(wanted, priority)
    if not changed:
        return entry.complain("aque-priority", "all of these have ended already", 1)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    return entry.run(priority, "aque-priority", arguments)


if __name__ == "__main__":
    sys.exit(main())
