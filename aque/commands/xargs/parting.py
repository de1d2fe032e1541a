"""Own what an interrupted run says last: how far it came, and how it is taken up again."""

from __future__ import annotations

from contextlib import suppress

from aque import states
from aque.brokers.base import Broker
from aque.commands.xargs import say
from aque.errors import BrokerError


def tell(broker: Broker, group: int, interrupted: int, is_all_recorded: bool) -> None:
    """Say it, if the queue can be asked.

    Of those that failed so many were `interrupted`: the terminal told them before we could.
    """
    with suppress(BrokerError):
        say(_word(broker, group, interrupted, is_all_recorded))


def _word(broker: Broker, group: int, interrupted: int, is_all_recorded: bool) -> str:
    counts = broker.count_children([group]).get(group, {})
    succeeded, failed = counts.get(states.SUCCESS, 0), counts.get(states.ERROR, 0) - interrupted
    cancelled = counts.get(states.CANCELLED, 0) + interrupted
    parts = [f"{succeeded} commands succeeded", f"{cancelled} were cancelled"]
    if failed > 0:
        parts.insert(1, f"{failed} failed")
    resume = f"aque-xargs --resume {group}"
    remedy = f"{resume} runs the rest" if is_all_recorded else f"give the input again to {resume}"
    return f"interrupted; {', '.join(parts)} (task {group}); {remedy}"
