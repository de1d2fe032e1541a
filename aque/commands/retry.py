"""aque-retry: run ended tasks again."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from aque.commands import entry, options


@click.command()
@options.broker_option
@click.option("-s", "--success", is_flag=True, help="Those that succeeded too.")
@click.option("-r", "--recursive", is_flag=True, help="What failed of all they depend on, too.")
@options.ids_argument()
def retry(broker: str | None, success: bool, recursive: bool, ids: Sequence[str]) -> int:
    """Run ended tasks again: same id, next attempt.

    Their children that failed or were killed run again too. What earlier attempts have written is
    kept. Dependents that failed only because of these wait again.

    \b
    aque-retry 7
    aque-retry -r last
    """
    from aque import states
    from aque.commands import patience
    from aque.errors import StateError

    queue = options.open_queue(broker)
    wanted = options.resolve(queue.broker, ids)
    statuses = queue.broker.statuses(wanted)
    failed = [id for id in wanted if statuses[id] in states.FAILED_STATES]
    chosen = wanted if success else failed
    if not chosen:
        raise StateError(_nothing(statuses))
    if len(wanted) > 1:  # of several those that can be; of one, say why not
        chosen = [id for id in chosen if statuses[id] in states.COMPLETE_STATES]
    with patience.telling("aque-retry", chosen):
        queue.retry(chosen, recursive)
    options.note_missing_worker(queue, "aque-retry", chosen, always=True)
    return 0


def _nothing(statuses: dict[int, str]) -> str:
    from aque import states

    if len(statuses) > 1:
        return "none of these has failed"
    ((id, status),) = statuses.items()
    if status == states.SUCCESS:
        return f"task {id} has succeeded; aque-retry -s {id} runs it again"
    return f"task {id} is {status}; only one that has ended can be retried"


def main(arguments: Sequence[str] | None = None) -> int:
    return entry.run(retry, "aque-retry", arguments)


if __name__ == "__main__":
    sys.exit(main())
