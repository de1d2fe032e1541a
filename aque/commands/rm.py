"""aque-rm: forget tasks."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import click

from aque.commands import entry, options

_FLAGS = {
    "success": ("success",),
    "error": ("error",),
    "killed": ("cancelled",),
    "pending": ("pending",),
    "complete": ("success", "error", "cancelled"),
    "everything": ("creating", "pending", "paused", "success", "error", "cancelled"),
}
#: Tasks named that could not be removed; of more it is said how many.
_MOST_REASONS = 10


@click.command()
@options.broker_option
@click.option("-e", "--error", is_flag=True, help="All that failed.")
@click.option("-s", "--success", is_flag=True, help="All that succeeded.")
@click.option("-k", "--killed", is_flag=True, help="All that were killed.")
@click.option(
    "-p", "--pending", is_flag=True, help="All that are pending; not those that are held."
)
@click.option("-c", "--complete", is_flag=True, help="All that have ended.")
@click.option("-a", "--all", "everything", is_flag=True, help="All but what runs.")
@click.option("-x", "--all-users", is_flag=True, help="Those of all users.")
@click.option("-v", "--verbose", is_flag=True, help="Print the ids that are gone.")
@click.option(
    "--older-than", type=options.Duration(), metavar="DURATION",
    help="Only what ended, or was submitted and never ran, so long ago. Alone: what has ended.",
)  # fmt: skip
@options.ids_argument(required=False)
def rm(
    broker: str | None,
    ids: Sequence[str],
    verbose: bool,
    all_users: bool,
    older_than: float | None,
    **flags: bool,
) -> int:
    """Forget tasks, their children and their output.

    Never one that runs or that an unfinished task waits for: it stays, and if it was among IDS that
    is said, with status 1.

    \b
    aque-rm 7
    aque-rm --older-than 7d
    """
    from aque.commands import patience, removing

    statuses = {status for flag, given in flags.items() if given for status in _FLAGS[flag]}
    if older_than is not None and not ids and not statuses:
        statuses = set(_FLAGS["complete"])
    if bool(ids) == bool(statuses):
        raise click.UsageError("name tasks by their ids or by a flag as -s, and not by both")
    queue = options.open_queue(broker)
    before = None if older_than is None else time.time() - older_than
    named = options.resolve(queue.broker, ids)
    with patience.telling("aque-rm", named, "; Ctrl-C keeps what is not gone yet"):
        if ids:
            removed = removing.remove_named(queue, named, before)
        else:
            removed = removing.remove_matching(queue, statuses, before, all_users)
        while removed.gone and queue.broker.shrink():
            pass
    if verbose and removed.gone:
        print("\n".join(map(str, sorted(removed.gone))), flush=True)
    return _complain(removed.left) if ids and removed.left else 0


def _complain(reasons: Sequence[str]) -> int:
    for reason in reasons[:_MOST_REASONS]:
        entry.complain("aque-rm", reason, 1)
    more = len(reasons) - _MOST_REASONS
    return entry.complain("aque-rm", f"and {more} more stay", 1) if more > 0 else 1


def main(arguments: Sequence[str] | None = None) -> int:
    return entry.run(rm, "aque-rm", arguments)


if __name__ == "__main__":
    sys.exit(main())
