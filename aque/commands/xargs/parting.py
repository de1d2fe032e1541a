"""Own what a run that was cut off says last: how far it came, and how it is taken up again."""

from __future__ import annotations

from contextlib import suppress

from aque import states
from aque.brokers.base import Broker
from aque.commands.xargs import say
from aque.errors import BrokerError, TaskNotFoundError


def tell(broker: Broker, group: int, how: str, interrupted: int, is_all_recorded: bool) -> None:
    """Say it, if the queue can be asked; `how` the run ended is a word.

    Of those that failed so many were `interrupted`: the terminal told them before we could.
    """
    with suppress(BrokerError):
        try:
            broker.fetch([group])
        except TaskNotFoundError:
            say(f"{how}; task {group} was removed, so it cannot be resumed")
        else:
            say(f"{how}; {_rest(broker, group, interrupted, is_all_recorded)}")


def _rest(broker: Broker, group: int, interrupted: int, is_all_recorded: bool) -> str:
    counts = broker.count_children([group]).get(group, {})
    succeeded, failed = counts.get(states.SUCCESS, 0), counts.get(states.ERROR, 0) - interrupted
    cancelled = counts.get(states.CANCELLED, 0) + interrupted
    resume = f"aque-xargs --resume {group}"
    remedy = f"{resume} runs the rest" if is_all_recorded else f"give the input again to {resume}"
    return f"{_sum(succeeded, failed, cancelled)} (task {group}); {remedy}"


def _sum(succeeded: int, failed: int, cancelled: int) -> str:
    said: list[str] = []
    were = "was cancelled" if cancelled == 1 else "were cancelled"
    for count, what in (succeeded, "succeeded"), (failed, "failed"), (cancelled, were):
        if count > 0:
            noun = "" if said else "command " if count == 1 else "commands "
            said.append(f"{count} {noun}{what}")
    return ", ".join(said) or "no command had begun"
