"""aque-progress: say how far the task it runs in is."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from aque.commands import entry
from aque.errors import UsageError


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="DONE [of TOTAL] [MESSAGE...]")
def progress(words: Sequence[str]) -> int:
    """Say how far the task this runs in is; aque-status and Future.progress() tell.

    The task is found by $AQUE_TID, which every task has in its environment.

    \b
    aque-progress 40
    aque-progress 40 of 100
    aque-progress 40 of 100 rendering
    """
    from aque.commands import telling
    from aque.report import Progress

    done, total, message = parse(words)
    broker, id, attempt = telling.task_of_ours()
    broker.report_progress(Progress(id, attempt, done, total, message))
    return 0


def parse(words: Sequence[str]) -> tuple[float, float | None, str | None]:
    """Return what is done, of how much, and the message. Raises UsageError for no number."""
    done, rest, total = _number(words[0]), list(words[1:]), None
    if rest[:1] == ["of"]:
        if len(rest) < 2:
            raise UsageError("of what? write: aque-progress 40 of 100")
        total, rest = _number(rest[1]), rest[2:]
        if not total > 0:
            raise UsageError(f"a total must be more than 0, not {total:g}")
    return done, total, " ".join(rest) or None


def _number(word: str) -> float:
    try:
        number = float(word)
    except ValueError:
        number = float("nan")
    if number - number != 0:
        raise UsageError(f"{word!r} is no number; write: aque-progress 40 of 100")
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    return entry.run(progress, "aque-progress", arguments)


if __name__ == "__main__":
    sys.exit(main())
