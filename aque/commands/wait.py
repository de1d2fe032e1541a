"""aque-wait: wait until tasks have ended."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from aque.commands import entry, options

if TYPE_CHECKING:
    from aque.queue import Queue

TIMED_OUT = 124
#: Of more tasks than these nobody counts each second how many have ended.
_MANY = 5000
_WIDEST = len("5,000 of 5,000 have ended ")


@click.command()
@options.broker_option
@click.option("--any", "any_one", is_flag=True, help="Until one of them has ended.")
@click.option(
    "--timeout", type=options.Duration(), metavar="DURATION", help="Give up then, with status 124."
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
    options.note_missing_worker(queue, "aque-wait", wanted)
    with _telling(queue, wanted) as on_poll:
        statuses = waiting.wait_complete(queue.broker, wanted, timeout, any_one, on_poll)
    ended = [id for id, status in statuses.items() if status in states.COMPLETE_STATES]
    if not ended or (not any_one and len(ended) < len(wanted)):
        return entry.complain("aque-wait", _left(queue, statuses), TIMED_OUT)
    return max(outcome.exit_status(task) for task in queue.broker.fetch(ended))


@contextmanager
def _telling(queue: Queue, ids: Sequence[int]) -> Iterator[Callable[[], object]]:
    """Yield what to do each second, which shows a person at a terminal how many have ended."""
    from aque import states

    recover = options.recovery(queue)
    if not sys.stderr.isatty():
        yield _noting(queue, ids, recover)
        return
    if not 1 < len(ids) <= _MANY:
        yield recover
        return

    def on_poll() -> None:
        recover()
        statuses = queue.broker.statuses(ids).values()
        ended = sum(1 for status in statuses if status in states.COMPLETE_STATES)
        said = f"{ended:,} of {len(ids):,} have ended"
        print(f"\r{said} ", end="", file=sys.stderr, flush=True)

    try:
        yield on_poll
    finally:
        print("\r" + " " * _WIDEST + "\r", end="", file=sys.stderr, flush=True)


def _noting(
    queue: Queue, ids: Sequence[int], recover: Callable[[], object]
) -> Callable[[], object]:
    """Return what, when a second is over, tells a log that nobody is there to run them.

    In a script that has just started a worker it is not there at once.
    """
    polls = iter((False, True))

    def on_poll() -> None:
        recover()
        if next(polls, False):
            options.note_missing_worker(queue, "aque-wait", ids, always=True)

    return on_poll


def _left(queue: Queue, statuses: Mapping[int, str]) -> str:
    """Say which have not ended."""
    from aque import states
    from aque.commands import lost

    left = [id for id, status in statuses.items() if status not in states.COMPLETE_STATES]
    if len(statuses) > 1:
        return f"{len(left):,} of {len(statuses):,} tasks have not ended"
    (task,) = queue.broker.fetch(left)
    died = lost.explain(task, lost.dead_workers(queue.broker))
    return f"task {task.id} has not ended: it is {task.status}{died and f', but {died}'}"


def main(arguments: Sequence[str] | None = None) -> int:
    return entry.run(wait, "aque-wait", arguments)


if __name__ == "__main__":
    sys.exit(main())
