"""aque-submit: put a command into the queue."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from aque.commands import entry, options

_WORDS = {"ignore_unknown_options": False, "allow_interspersed_args": False}


@click.command(context_settings=_WORDS)
@options.broker_option
@click.option("--name", help="What to call it, instead of the command itself.")
@click.option("--priority", type=int, help="Larger goes first.  [default: 1000]")
@click.option(
    "-c", "--cpus", type=options.Cpus(),
    help="How many cpus it takes; fractions allowed, -N is one Nth of the machine.  [default: 1]",
)  # fmt: skip
@click.option("--memory", type=options.Size(), metavar="SIZE", help="Memory to reserve, as 4G.")
@click.option("--cwd", metavar="DIR", help="Where to run it.  [default: here]")
@click.option("--env", "env", multiple=True, metavar="KEY=VALUE", help="Set in its environment.")
@click.option("--clean-env", is_flag=True, help="Do not take over this environment.")
@click.option("-s", "--shell", is_flag=True, help="COMMAND is a script for /bin/sh.")
@click.option("--stdin", metavar="PATH", help="Its standard input; - stores this command's own.")
@click.option("--stdout", metavar="PATH", help="Write its standard output there.")
@click.option("--stderr", metavar="PATH", help="Write its standard error there.")
@click.option(
    "--after", multiple=True, type=options.Selector(), metavar="IDS",
    help="Wait until these have succeeded.",
)  # fmt: skip
@click.option(
    "--after-any", multiple=True, type=options.Selector(), metavar="IDS",
    help="Wait until these have ended.",
)  # fmt: skip
@click.option(
    "--parent", type=options.OneTask(), metavar="ID", help="Make it a child of this task."
)
@click.option("--host", metavar="GLOB", help="Only there, as render*,!render7 or 10.0.0.0/24.")
@click.option("--platform", metavar="GLOB", help="Only there, as linux or darwin.")
@click.option(
    "--limit", "limits", multiple=True, metavar="NAME[:N]",
    help="Take N tokens (1) of a limit while it runs; see aque-limit.",
)  # fmt: skip
@click.option(
    "--delay", type=options.Duration(), metavar="DURATION",
    help="Start it no sooner than this from now.",
)  # fmt: skip
@click.option("--at", type=options.Instant(), metavar="TIME", help="Start it at HH:MM or ISO 8601.")
@click.option("--hold", is_flag=True, help="Not before aque-resume.")
@click.option(
    "--timeout", type=options.Duration(), metavar="DURATION", help="End it as failed after that."
)
@click.option(
    "--retries", type=click.IntRange(0), metavar="N",
    help="When it fails, run it again up to N times.",
)  # fmt: skip
@click.option(
    "--retry-delay", type=options.Duration(), metavar="DURATION",
    help="Before the first retry; doubled for each further one.",
)  # fmt: skip
@click.option("--keep-background", is_flag=True, help="When it ends, leave what it started alone.")
@click.option(
    "--duration", type=options.Duration(), metavar="DURATION",
    help="How long it should take: of equal priority the longest go first.",
)  # fmt: skip
@click.option(
    "--io-path", "io_paths", multiple=True, metavar="PATH",
    help="It uses this path: only where its file system is mounted alike.",
)  # fmt: skip
@click.option("--user", metavar="NAME", help="Run it as this user (only root may say so).")
@click.option("-w", "--watch", is_flag=True, help="Show its output, then exit as it did.")
@click.option("--json", "as_json", is_flag=True, help="Print the task as JSON.")
@click.option("--from", "source", metavar="FILE", help="Read tasks from FILE (- here), JSON each.")
@click.argument("command", nargs=-1, metavar="[KEY=VALUE...] COMMAND [ARG...]")
def submit(source: str | None, watch: bool, as_json: bool, **given: Any) -> int:
    """Put COMMAND into the queue and print the task's id.

    KEY=VALUE words before it set its environment, as env(1) does (not with --shell, where the first
    word is the script: use --env); the rest of the environment is this one. When the id is printed,
    the task survives whatever happens.

    \b
    aque-submit sleep 10
    aque-submit --after 1 -c 2 SCENE=shot7 render --frame 12
    """
    from aque.commands import submitting
    from aque.commands.request import Request

    if watch:
        options.refuse_beside("--watch", {"as_json": "--json"})
    request = Request(**given)
    if source is not None:
        return submitting.submit_many(request, source, watch, as_json)
    if not request.command:
        raise click.UsageError("no command given")
    if request.retry_delay is not None and not request.retries:
        raise click.UsageError("--retry-delay is between --retries, and there are none; give both")
    return submitting.submit_one(request, watch, as_json)


def main(arguments: Sequence[str] | None = None) -> int:
    return entry.run(submit, "aque-submit", arguments)


if __name__ == "__main__":
    sys.exit(main())
