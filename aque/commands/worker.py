"""aque-worker: run tasks until told to stop."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from aque.worker import signals

# Before anything else is imported: a HUP while Python starts would end the process, and one that
# waited over the exec of a reload must find its handler.
_SIGNALS = signals.Signals()

import click  # noqa: E402

from aque.commands import entry, options  # noqa: E402


@click.command()
@options.broker_option
@click.option("-1", "--one", is_flag=True, help="End after one task.")
@click.option("-2", "--to-end", is_flag=True, help="End when nothing is left to run.")
@click.option("-c", "--cpus", type=options.Cpus(), help="Use no more cpus.  [default: all]")
@click.option("--memory", type=options.Size(), metavar="SIZE", help="Use no more.  [default: all]")
@click.option(
    "--slots", type=click.IntRange(1), metavar="N",
    help="Run at most N tasks at a time.  [default: 16 for each cpu]",
)  # fmt: skip
@click.option("--name", help="What to call this worker.  [default: host:pid]")
@click.option(
    "--grace", type=options.Duration(), metavar="DURATION",
    help="How long tasks may run on after TERM.  [default: to their end]",
)  # fmt: skip
@click.option("--reload", is_flag=True, help="As by HUP, when aque's or a task's code changes.")
@click.option("-v", "--verbose", is_flag=True, help="Say what starts and ends.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def worker(one: bool, to_end: bool, **given: object) -> None:
    """Run the queue's tasks until told to stop.

    \b
    TERM, INT     start nothing new, finish what runs; a second one requeues it
    QUIT          stop what runs now, and requeue it
    HUP           restart with new code, same pid; what runs goes on
    USR1, USR2    one task at a time more, one less

    \b
    aque-worker
    aque-worker -c 4 --to-end
    """
    from aque.commands import working

    if one:
        options.refuse_beside("--one", {"to_end": "--to-end", "slots": "--slots"})
    if given["verbose"]:
        options.refuse_beside("--verbose", {"quiet": "--quiet"})
    mode = "one" if one else "to-end" if to_end else "forever"
    working.work(_SIGNALS, mode, working.Options(**given))  # type: ignore[arg-type]


def main(arguments: Sequence[str] | None = None) -> int:
    _SIGNALS.install()
    return entry.run(worker, "aque-worker", arguments)


if __name__ == "__main__":
    sys.exit(main())
