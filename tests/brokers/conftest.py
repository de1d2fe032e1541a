"""The brokers that the contract is tested against.

Tests here run on each, but for those of files that say whose own they are.

`make_broker()` opens the queue of the test, the same one each time it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import enlist, recount_uses

from aque import brokers
from aque.brokers.base import Broker

MakeBroker = Callable[[], Broker]

#: Name of a broker -> how to say where the queue of a test is.
URLS: dict[str, Callable[[Path], str]] = {
    "sqlite": lambda directory: str(directory / "queue.db"),
    "sqlite-shared": lambda directory: f"sqlite://{directory}/queue.db?journal=delete",
}


@pytest.fixture(params=sorted(URLS))
def make_broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeBroker]:
    opened: list[Broker] = []

    def make() -> Broker:
        opened.append(brokers.from_url(URLS[request.param](tmp_path), durable=False))
        return opened[-1]

    yield make
    for broker in opened:
        broker.close()


@pytest.fixture
def broker(make_broker: MakeBroker) -> Broker:
    return make_broker()


@pytest.fixture
def worker(broker: Broker) -> int:
    return enlist(broker)


@pytest.fixture
def check_storage(broker: Broker) -> Callable[[Broker], None]:
    """Return a check of what a store keeps that its contract does not show."""
    return {"sqlite": recount_uses}[broker.to_url().partition(":")[0]]
