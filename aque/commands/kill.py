"""aque-kill: end tasks."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from aque.commands import entry, options

if TYPE_CHECKING:
    from aque.queue import Queue

_LIKE_A_SIGNAL = re.compile(r"[A-Z0-9]+")


@click.command()
@options.broker_option
@click.option(
    "-s", "--signal", "number", type=options.Signal(), default="TERM", metavar="SIG",
    help="Send this first; -9 and -INT are short for it.  [default: TERM]",
)  # fmt: skip
@click.option("-r", "--recursive", is_flag=True, help="All they depend on too.")
@click.option(
    "--grace", type=options.Duration(), metavar="DURATION",
    help="From the signal to KILL.  [default: 5, a setting of the queue]",
)  # fmt: skip
@click.option("--signal-only", is_flag=True, help="Signal what runs, and leave the tasks alone.")
@options.ids_argument()
def kill(
    broker: str | None,
    number: int,
    recursive: bool,
    grace: float | None,
    signal_only: bool,
    ids: Sequence[str],
) -> int:
    """End tasks and their children, and wait until they have ended.

    What waits is cancelled and never starts. What runs gets the signal, all its processes, and KILL
    after the grace. What depends on them fails.

    \b
    aque-kill 7
    aque-kill -r last
    aque-kill --signal-only -USR1 7
    """
    from aque import states, waiting
    from aque.commands import patience

    if signal_only:
        options.refuse_beside("--signal-only", {"grace": "--grace"})
    queue = options.open_queue(broker)
    wanted = options.resolve(queue.broker, ids)
    if signal_only:
        targets = queue.in_order(wanted) if recursive else queue.with_children(wanted)
        reached = queue.signal(targets, number)
        return 0 if reached else entry.complain("aque-kill", "none of these is running", 1)
    before = queue.broker.statuses(wanted)
    if all(status in states.COMPLETE_STATES for status in before.values()) and not recursive:
        return entry.complain("aque-kill", _ended_already(before), 1)
    with patience.telling("aque-kill", wanted, ""):  # Ctrl-C may also come later
        killed = queue.kill(wanted, number, grace, recursive)
    waiting.wait_complete(queue.broker, killed, on_poll=_telling(queue, killed))
    return 0


def _telling(queue: Queue, ids: Sequence[int]) -> Callable[[], object]:
    """Return what to do each second, which tells once of each who is stopped and has to end them.

    One that was stopped a moment ago may be about to go on, so not before a second is over.
    """
    from aque.commands import standstill

    recover = options.recovery(queue)
    told: set[str] | None = None

    def on_poll() -> None:
        nonlocal told
        recover()
        if told is None:
            told = set()
            return
        for line in standstill.awaited(queue.broker, ids):
            if line not in told:
                entry.complain("aque-kill", line, 0)
                told.add(line)

    return on_poll


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    return entry.run(kill, "aque-kill", _rewrite(words))


def _rewrite(words: list[str]) -> list[str]:
    """Write `-9`, `-INT` and `-SIGINT` as `-s SIG`, as kill(1) takes them.

    No option is in capitals or digits, so what is no signal is refused as one too.
    """
    end = words.index("--") if "--" in words else len(words)
    rewritten: list[str] = []
    for word in words[:end]:
        name = word[1:]
        is_named = len(name) > 1 and options.signal_number(name) is not None
        if word.startswith("-") and (is_named or _LIKE_A_SIGNAL.fullmatch(name)):
            rewritten += ["-s", name]
        else:
            rewritten.append(word)
    return rewritten + words[end:]


def _ended_already(statuses: dict[int, str]) -> str:
    if len(statuses) == 1:
        ((id, status),) = statuses.items()
        return f"task {id} has ended already ({status})"
    return f"all {len(statuses)} tasks have ended already"


if __name__ == "__main__":
    sys.exit(main())
