"""aque-limit: set named limits, and list them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence

import click

from aque.brokers.claims import Limit
from aque.commands import entry, options
from aque.errors import TaskNotFoundError, UsageError
from aque.requirements import missing_limit

#: What a limit can be: no more than a queue can store.
_NUMBER = re.compile(r"0*[0-9]{1,18}")


@click.command()
@options.broker_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("limits", nargs=-1, metavar="[NAME=N | NAME]...")
def limit(broker: str | None, as_json: bool, limits: Sequence[str]) -> int:
    """Set how many tokens a named limit has, or list limits: name, used, capacity.

    A task submitted with --limit NAME[:N] takes N tokens while it runs, over all workers.

    \b
    aque-limit nuke=10
    aque-limit
    """
    changes = dict(_change(word) for word in limits if "=" in word)
    wanted = [word for word in limits if "=" not in word]
    if as_json and changes and not wanted:
        raise UsageError("--json is how limits are listed, and NAME=N lists none; name some, too")
    queue = options.open_queue(broker)
    if changes:
        queue.broker.set_limits(changes)
    if wanted or not changes:
        _show(queue.broker.limits(), wanted, as_json)
    return 0


def _show(known: Mapping[str, Limit], wanted: Sequence[str], as_json: bool) -> None:
    for name in wanted:
        if name not in known:
            raise TaskNotFoundError(missing_limit(name))
    shown = {name: known[name] for name in wanted or known}
    if not shown and not as_json:
        print("there are no limits; aque-limit NAME=N makes one", file=sys.stderr)
    if as_json:
        print(json.dumps({name: found._asdict() for name, found in shown.items()}))
        return
    if sys.stdout.isatty():
        _show_table(shown)
        return
    for name, found in shown.items():
        print(f"{name}\t{found.used}\t{found.capacity}")


def _show_table(shown: Mapping[str, Limit]) -> None:
    """Show limits to a person, with what the columns are."""
    from aque.commands import terminal

    rows = [("LIMIT", "USED", "OF")] if shown else []
    rows += [(terminal.safe(n), str(limit.used), str(limit.capacity)) for n, limit in shown.items()]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for name, used, capacity in rows:
        print(f"{name:<{widths[0]}}  {used:>{widths[1]}}  {capacity:>{widths[2]}}")


def _change(word: str) -> tuple[str, int]:
    name, _, number = word.partition("=")
    if not name or ":" in name or "," in name:
        raise UsageError(f"{word!r}: a limit's name has neither : nor , and is not empty")
    if not _NUMBER.fullmatch(number):
        raise UsageError(f"{word!r}: a limit is a whole number from 0, as nuke=10")
    return name, int(number)


def main(arguments: Sequence[str] | None = None) -> int:
    return entry.run(limit, "aque-limit", arguments)


if __name__ == "__main__":
    sys.exit(main())
