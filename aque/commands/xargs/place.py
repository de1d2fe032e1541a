"""Own where a run keeps its tasks: the queue, or a private one where that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aque import brokers
from aque.brokers.base import Broker
from aque.commands.xargs import say
from aque.errors import BrokerError


@dataclass(frozen=True, slots=True)
class Place:
    """A queue for one run; a `private` one goes with it."""

    broker: Broker
    is_private: bool


@contextmanager
def open_place(url: str | None) -> Iterator[Place]:
    try:
        broker = brokers.from_url(url, durable=False)
    except BrokerError as error:
        say(f"{error}; nothing of this run will be kept")
    else:
        yield Place(broker, is_private=False)
        broker.close()
        return
    with _private_queue() as broker:
        yield Place(broker, is_private=True)


@contextmanager
def _private_queue() -> Iterator[Broker]:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="aque-xargs-") as directory:
        broker = brokers.from_url(f"{directory}/queue.db", durable=False)
        yield broker
        broker.close()
