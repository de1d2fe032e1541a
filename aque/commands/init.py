"""aque-init: make a queue, change its settings, share it, copy it and go back to a copy."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from aque.brokers.base import Broker
from aque.commands import entry, options, quantities


@click.command()
@options.broker_option
@click.option("--reset", is_flag=True, help="Forget all tasks; refused while workers run.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@click.option("--group", metavar="NAME", help="Share it with a group.")
@click.option("--backup", metavar="FILE", help="Copy it into a new file, while it is in use.")
@click.option("--restore", metavar="FILE", help="Go back to a copy; refused while it is in use.")
@click.option("--settings", is_flag=True, help="List the settings.")
def init(
    broker: str | None,
    reset: bool,
    changes: Sequence[str],
    group: str | None,
    backup: str | None,
    restore: str | None,
    settings: bool,
) -> int:
    """Make a queue, or bring an old one up to date, and print its URL.

    Your own queue is made when it is first used; this is for others, and for settings.

    \b
    aque-init --broker /projects/film/queue.db
    aque-init --set poll=0.2 --set grace=10
    aque-init --backup /backups/queue-$(date +%F).db
    """
    from aque import brokers
    from aque.errors import StateError
    from aque.queue import Queue

    brokers.refuse_lockless(broker)
    values = dict(_setting(change) for change in changes)
    if restore is not None:
        _restore(broker, restore)
    if group is not None:
        _share(broker, group)
    queue = Queue(broker) if backup is None else options.open_queue(broker)
    if backup is not None:
        _back_up(queue.broker, backup)
    if reset or ("heartbeat" in values and queue.broker.is_shared):
        options.recovery(queue)()  # the dead stand in nobody's way
        if queue.broker.workers():
            raise StateError("workers are running; end them first (aque-status --workers)")
    if reset:
        queue.broker.reset()
    if values:
        queue.broker.set_settings(values)
    if settings:
        for key, value in queue.broker.settings().items():
            print(f"{key}={value:.15g}")
    elif not values and backup is None and restore is None:
        print(queue.broker.to_url())
    return 0


def _back_up(broker: Broker, path: str) -> None:
    from shlex import quote

    from aque.commands import backup, lines

    backup.back_up(broker, path)
    count, size = backup.left_behind(broker)
    if count:
        beside = quote(f"{path}.d")
        command = f"mkdir -pm 700 {beside} && cp -a {quote(broker.directory)}/output {beside}"
        said = "a large output is" if count == 1 else f"{count} large outputs are"
        print(
            f"aque-init: {said} not in the copy ({lines.size(size)}); to have all: {command}",
            file=sys.stderr,
        )


def _restore(broker: str | None, path: str) -> None:
    from aque.commands import backup

    aside = backup.restore(broker, path)
    if aside is not None:
        print(f"aque-init: the queue that was there is {aside} now", file=sys.stderr)


def _share(broker: str | None, group: str) -> None:
    from aque import brokers

    unreachable = brokers.share(broker, group)
    said = f"members of {group} can run commands as each other by this queue"
    if unreachable is not None:
        said += f", once they may enter {unreachable}"
    print(f"aque-init: {said}", file=sys.stderr)


def _setting(text: str) -> tuple[str, float]:
    from aque.brokers import settings

    key, separator, value = text.partition("=")
    if not separator:
        raise click.UsageError(f"{text!r} is not KEY=VALUE")
    if key in settings.SIZES:
        return key, float(quantities.parse_size(value))
    return key, quantities.parse_duration(value)


def main(arguments: Sequence[str] | None = None) -> int:
    return entry.run(init, "aque-init", arguments)


if __name__ == "__main__":
    sys.exit(main())
