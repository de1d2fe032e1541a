"""aque-status: show tasks."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from aque.commands import entry, options
from aque.errors import UsageError


class Interval(options.Duration):
    """How often to look. Unlike elsewhere --watch may be followed by it, so not by tasks."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        try:
            return super().convert(value, param, ctx)
        except UsageError:
            example = "aque-status last --watch"
            raise UsageError(
                f"--watch takes seconds, not {value!r}; tasks come before it: {example}"
            ) from None


_DATA = {"csv": "--csv", "as_json": "--json", "pattern": "--format"}
_LISTS = {
    "statuses": "--status", "filters": "--filter", "csv": "--csv", "pattern": "--format",
    "interval": "--watch", "depth": "--depth", "flat": "--flat", "since": "--since",
    "show_all": "--all", "all_users": "--all-users",
}  # fmt: skip
#: What says nothing of what these show, by its parameter's name.
_CLASHES = {
    "--workers": {"why": "--why", "ids": "IDS", **_LISTS},
    "--why": {"as_json": "--json", **_LISTS},
    "--watch": {"flat": "--flat", **_DATA},
    "IDS": {"since": "--since"},
}


@click.command()
@options.broker_option
@click.option(
    "--depth", type=click.IntRange(min=0), metavar="N",
    help="How many levels below the first; 0 is all.  [default: 3]",
)  # fmt: skip
@click.option("--flat", is_flag=True, help="A line a task, no tree.")
@click.option(
    "-s", "--status", "statuses", multiple=True, metavar="STATE",
    help="Only tasks in this state; several with commas or by repeating it.",
)  # fmt: skip
@click.option("-x", "--all-users", is_flag=True, help="The tasks of other users too.")
@click.option(
    "--filter", "filters", multiple=True, metavar="KEY=VALUE",
    help="Only such tasks; also KEY!=VALUE, KEY~GLOB, KEY<N, KEY>N. Repeated: all must hold.",
)  # fmt: skip
@click.option("--csv", metavar="FIELDS", help="Write these keys, with commas between, as CSV.")
@click.option("--json", "as_json", is_flag=True, help="Write all keys as one JSON document.")
@click.option("--format", "pattern", metavar="PATTERN", help="Write '{id} {status}' and the like.")
@click.option(
    "--since", type=options.Duration(), metavar="DURATION",
    help="Show what ended within this time.  [default: 24h]",
)  # fmt: skip
@click.option("--all", "show_all", is_flag=True, help="However many and, but for --since, old.")
@click.option(
    "--color", type=click.Choice(["auto", "never", "always"]), default="auto", show_default=True,
    help="Colour the states; auto does so on a terminal, but for NO_COLOR.",
)  # fmt: skip
@click.option(
    "-w", "--watch", "interval", type=Interval(), is_flag=False, flag_value="1",
    metavar="[SECONDS]", help="Over the whole screen, each so many seconds (1), IDS before it.",
)  # fmt: skip
@click.option("--workers", is_flag=True, help="Show the workers instead; with --json too.")
@click.option("--why", is_flag=True, help="Say why IDS are not running.")
@click.argument("ids", nargs=-1, type=options.Selector(), metavar="[IDS...]")
def status(interval: float | None, workers: bool, why: bool, **given: Any) -> int:
    """Show tasks: these and what is below them, else what is active or ended of late.

    A tree: tasks over their children (solid lines) and what they wait for (dashed ones), summed up
    where it is wide. With -s or --filter, and with --flat, --csv, --json and --format, a list: of
    IDS alone, or with --depth, -s or --filter of those below them too.

    \b
    aque-status
    aque-status -s error --filter 'name~shot7*'
    aque-status --why last
    aque-status --format '{id} {exit_status}' 7-9
    """
    from aque.commands import listing

    if workers:
        _refuse_beside("--workers")
        from aque.commands import workers as working

        working.show(options.open_broker(given["broker"]), given["color"], given["as_json"])
        return 0
    if why:
        _refuse_beside("--why")
        from aque.commands import why as explaining

        if not given["ids"]:
            raise click.UsageError("name the tasks that --why is to explain")
        broker = options.open_broker(given["broker"])
        explaining.show(broker, options.resolve(broker, given["ids"]))
        return 0
    if given["ids"]:
        _refuse_beside("IDS")
    if interval is not None:
        _refuse_beside("--watch")
        return listing.watch(listing.Request(**given), interval)
    listing.show(listing.Request(**given))
    return 0


def _refuse_beside(option: str) -> None:
    options.refuse_beside(option, _CLASHES[option])


def main(arguments: Sequence[str] | None = None) -> int:
    return entry.run(status, "aque-status", arguments)


if __name__ == "__main__":
    sys.exit(main())
