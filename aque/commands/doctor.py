"""aque-doctor: look whether all is well with a queue, and say what to do."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from aque.commands import entry, options


@click.command()
@options.broker_option
@click.option("--repair", is_flag=True, help="Put right what can be.")
def doctor(broker: str | None, repair: bool) -> int:
    """Look at SQLite, the disk and its locks, permissions, the queue itself and its workers.

    Each is a line; below what is wrong stands what to do. The queue may be in use.

    \b
    aque-doctor
    aque-doctor --broker /projects/film/queue.db --repair
    """
    from aque.commands import examining, terminal

    screen = terminal.look()
    is_well = True
    for finding in examining.examine(broker, repair):
        is_wrong = bool(finding.remedy)
        is_well = is_well and not is_wrong
        mark = screen.paint("wrong", "error") if is_wrong else screen.paint("ok   ", "success")
        print(f"{mark}  {finding.subject}: {terminal.safe(finding.text)}")
        if is_wrong:
            print(f"       {terminal.safe(finding.remedy)}")
    return 0 if is_well else 1


def main(arguments: Sequence[str] | None = None) -> int:
    return entry.run(doctor, "aque-doctor", arguments)


if __name__ == "__main__":
    sys.exit(main())
