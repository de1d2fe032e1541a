"""aque-wait: wait until tasks have ended."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from aque.commands import entry, options

TIMED_OUT = 124


@click.command()
@options.broker_option
@click.option("--any", "any_one", is_flag=True, help="Until one of them has ended.")
@click.option(
    "--timeout", type=options.Duration(), metavar="SECONDS", help="Give up then, with status 124."
)
@options.ids_argument()
def wait(broker: str | None, any_one: bool, timeout: float | None, ids: Sequence[str]) -> int:
    """Wait until all these tasks have ended.

    The exit status is the task's own, of several the highest: its exit code, 128+N when signal N
    ended it, 125 when it was cancelled before it ran, 1 for a failed dependency or Python error.

    \b
    aque-wait 7
    aque-wait --timeout 10m 1-20
    """
    from aque import outcome, states, waiting

    queue = options.open_queue(broker)
    wanted = options.resolve(queue.broker, ids)
    recover = options.recovery(queue)
    options.note_missing_worker(queue, "aque-wait", wanted)
    statuses = waiting.wait_complete(queue.broker, wanted, timeout, any_one, recover)
    ended = [id for id, status in statuses.items() if status in states.COMPLETE_STATES]
    if not ended or (not any_one and len(ended) < len(wanted)):
        left = len(wanted) - len(ended)
        return entry.complain("aque-wait", f"{left} of {len(wanted)} have not ended", TIMED_OUT)
    return max(outcome.exit_status(task) for task in queue.broker.fetch(ended))


def main(arguments: Sequence[str] | None = None) -> int:
    return entry.run(wait, "aque-wait", arguments)


if __name__ == "__main__":
    sys.exit(main())
