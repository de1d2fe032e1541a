"""aque-doctor: look whether all is well with a queue, and say what to do."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from aque.commands import entry, options

#: Columns before what is said.
_INDENT = 7


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
        room = None if screen.width is None else max(20, screen.width - _INDENT)
        said = [f"{finding.subject}: {finding.text}", *filter(None, [finding.remedy])]
        text = "\n".join(terminal.folded(terminal.safe(text), room) for text in said)
        print(f"{mark}  " + text.replace("\n", "\n" + " " * _INDENT))
    return 0 if is_well else 1


def main(arguments: Sequence[str] | None = None) -> int:
    return entry.run(doctor, "aque-doctor", arguments)


if __name__ == "__main__":
    sys.exit(main())
