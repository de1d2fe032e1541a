"""aque-log: add a line to the log of the task it runs in."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from aque.commands import entry

LEVELS = ("debug", "info", "warning", "error", "critical")


@click.command()
@click.argument(
    "level", required=False, type=click.Choice(LEVELS, case_sensitive=False), metavar="LEVEL"
)
@click.argument("message", nargs=-1, metavar="MESSAGE...")
def log(level: str | None, message: Sequence[str]) -> int:
    """Add a line to the log of the task this runs in; aque-output --log shows it.

    LEVEL is debug, info, warning, error or critical. The task is found by $AQUE_TID, which every
    task has in its environment.

    \b
    aque-log info "read 40 frames"
    aque-log warning no licence, waiting
    """
    if level is None or not message:
        raise click.UsageError("name a level and a message, as: aque-log info 'read 40 frames'")
    import time

    from aque import logs
    from aque.commands import telling

    broker, id, attempt = telling.task_of_ours()
    line = logs.line(time.time(), level.upper(), f"aque.job.{id}", " ".join(message))
    broker.append_log(id, attempt, line)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    return entry.run(log, "aque-log", arguments)


if __name__ == "__main__":
    sys.exit(main())
