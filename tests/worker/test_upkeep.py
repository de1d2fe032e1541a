"""What workers do for their queue: what is old is forgotten, and its room given back."""

from __future__ import annotations

import os

from jobs import checkpointed_size, submit, work
from support import aque, eventually, started_worker

from aque.brokers.base import Broker


def test_an_idle_worker_forgets_what_is_old_and_goes_on(broker: Broker, own_queue: str) -> None:
    ids = [submit(broker, "true", name="x" * 50_000) for _ in range(60)]
    work(broker)
    assert broker.existing(0, 200) == ids
    size = checkpointed_size(own_queue)
    broker.set_settings({"keep-success": 0.01})
    with started_worker(broker):
        eventually(lambda: not broker.existing(0, 200))
        eventually(lambda: os.path.getsize(own_queue) < size - 1_000_000)
        again = submit(broker, "sleep", "600")
        eventually(lambda: broker.statuses([again])[again] == "running")
        aque("kill", str(again))


def test_a_worker_that_is_never_idle_forgets_as_it_ends(broker: Broker) -> None:
    broker.set_settings({"keep-success": 0.00001})
    submit(broker, "true")
    work(broker)
    assert broker.existing(0, 200) == []


def test_the_end_of_xargs_forgets_what_is_old_but_never_its_own_failures(broker: Broker) -> None:
    broker.set_settings({"keep-success": 0.00001})
    aque("xargs", "-n1", "echo", input="a b c")
    assert broker.existing(0, 200) == []
    aque("xargs", "-n1", "sh", "-c", "exit $0", input="0 1 0", status=123)
    assert len(broker.existing(0, 200)) == 4
