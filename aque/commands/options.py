"""Own the options and types that commands share."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from aque import states
from aque.brokers.base import Broker
from aque.brokers.questions import Condition, Selection
from aque.commands import quantities
from aque.errors import BrokerError, TaskNotFoundError, UsageError
from aque.record import replace

if TYPE_CHECKING:
    from aque.queue import Queue

F = TypeVar("F", bound=Callable[..., Any])

_CLOCK = re.compile(r"\d{1,2}:\d{2}")
_SELECTOR = re.compile(r"\d+(-\d+)?|last|all")
_ONE_TASK = re.compile(r"\d+|last")
#: What waits for a worker, and not for the aque-xargs that it is reserved for.
_FOR_ANY_WORKER = Selection([Condition("reserved", "=", None)], [states.PENDING, states.PAUSED])


def broker_option(command: F) -> F:
    return click.option(
        "--broker",
        metavar="URL",
        help="The queue: sqlite:///path or a path. Else $AQUE_BROKER, else your own.",
    )(command)


def refuse_beside(option: str, others: Mapping[str, str]) -> None:
    """Raise UsageError for a parameter of the present call, called so, that `option` rules out."""
    context = click.get_current_context()
    for key, other in others.items():
        if context.get_parameter_source(key) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"{option} and {other} exclude each other")


def ids_argument(required: bool = True) -> Callable[[F], F]:
    """Take task selectors: `7`, `3-9`, `1,4,8-10`, `last`, `all`."""
    return click.argument("ids", nargs=-1, required=required, type=Selector(), metavar="IDS...")


class Selector(click.ParamType):
    """One word that selects tasks; `resolve` turns such words into ids."""

    name = "ids"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        return check_selector(str(value))


def check_selector(word: str) -> str:
    """Return a selector as it is. Raises UsageError where it is none."""
    for part in word.split(","):
        if not _SELECTOR.fullmatch(part):
            raise UsageError(f"{word!r} selects no tasks; write 7, 3-9, 1,4,8-10, last or all")
    return word


class OneTask(Selector):
    """One word that names one task: its id, or `last`."""

    name = "id"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        return check_task(str(value))


def check_task(word: str) -> str:
    """Return a selector of one task as it is. Raises UsageError where it is none."""
    if not _ONE_TASK.fullmatch(word):
        raise UsageError(f"{word!r} names no task; write its id, or last")
    return word


def resolve(broker: Broker, words: Iterable[str]) -> list[int]:
    """Return the ids that selectors name, in their order, each once.

    Raises TaskNotFoundError for an id that does not exist, or a range with nothing in it.
    """
    found: dict[int, None] = {}
    for word in words:
        for part in word.split(","):
            found.update(dict.fromkeys(_resolve_part(broker, part)))
    return list(found)


def _resolve_part(broker: Broker, part: str) -> list[int]:
    if part == "all":
        ids = broker.existing(0, 2**63 - 1)
    elif part == "last":
        last = broker.last_id()
        ids = [] if last is None else [last]
    else:
        first, _, end = part.partition("-")
        ids = broker.existing(_clamp(first), _clamp(end or first))
    if not ids:
        if part in ("last", "all"):
            raise TaskNotFoundError("there are no tasks; aque-submit echo hello makes a first one")
        raise TaskNotFoundError(
            f"there are no tasks {part}" if "-" in part else f"there is no task {part}"
        )
    return ids


def _clamp(digits: str) -> int:
    return min(int(digits[:20]), 2**63 - 1)


def open_broker(url: str | None) -> Broker:
    """Open a queue to look at or steer, which must be there."""
    from aque import brokers

    return brokers.from_url(url, create=False)


def open_queue(url: str | None) -> Queue:
    from aque.queue import Queue

    return Queue(open_broker(url))


def note_new(broker: Broker, name: str) -> None:
    """Tell a person at a terminal that a queue was made: the name of another may be mistyped."""
    if broker.is_new and sys.stderr.isatty():
        from aque.commands import terminal

        terminal.tell(f"{name}: made a new queue, {broker.to_url()}")


def note_missing_worker(queue: Queue, name: str, ids: Sequence[int], always: bool = False) -> None:
    """Tell who has tasks wait that nobody is there to run.

    But for `always` only a person at a terminal: else standard error may be a task's.
    """
    if not (always or sys.stderr.isatty()):
        return
    from aque.commands import standstill, terminal

    recovery(queue)()  # one that was killed is none
    said = standstill.said_none(queue.broker.workers())
    if said and queue.broker.count(replace(_FOR_ANY_WORKER, ids=ids)):
        terminal.tell(f"{name}: {said}")


def recovery(queue: Queue) -> Callable[[], object]:
    """Return what to call while waiting, so that a dead worker's tasks do not wait for ever.

    What it cannot write, on a full disk, say, it tries again when it is called next.
    """
    from aque.worker import host
    from aque.worker.liveness import Observer
    from aque.worker.recovery import recover

    observer = Observer(queue.broker, host.this_host())

    def look() -> None:
        with suppress(BrokerError):
            recover(observer)

    return look


class Duration(click.ParamType):
    """`1d2h3m4.5s` or bare seconds, as float seconds."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        return quantities.parse_duration(value)


class Instant(click.ParamType):
    """ISO 8601, or `HH:MM`, the next one in local time, as Unix seconds."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        return parse_instant(str(value))


def parse_instant(value: str) -> float:
    """Return an instant in Unix seconds. Raises UsageError for what is none."""
    from datetime import datetime, timedelta

    now = datetime.now()
    try:
        if not _CLOCK.fullmatch(value):
            return datetime.fromisoformat(value).timestamp()
        hour, minute = map(int, value.split(":"))
        at = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    except ValueError:
        raise UsageError(f"{value!r} is no time; write 23:30 or 2026-01-31T23:30") from None
    return (at if at > now else at + timedelta(days=1)).timestamp()


class Size(click.ParamType):
    """`4G` and the like, powers of 1024, as bytes."""

    name = "size"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        return quantities.parse_size(value)


class Cpus(click.ParamType):
    """A number of cpus; -N is one Nth of the machine."""

    name = "cpus"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        return quantities.parse_cpus(value)


class Signal(click.ParamType):
    """A signal by number or name, with or without SIG."""

    name = "signal"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        number = signal_number(str(value))
        if number is None:
            self.fail(f"{value!r} is no signal; write 9, KILL or SIGKILL")
        return number


def signal_number(text: str) -> int | None:
    if text.isdigit():
        return int(text) if int(text) in signal.valid_signals() else None
    name = text.upper()
    try:
        return signal.Signals[name if name.startswith("SIG") else "SIG" + name].value
    except KeyError:
        return None
