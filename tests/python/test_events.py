"""Events in process: who is bound is told of what became so."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import weakref

import pytest
from jobs import script
from support import eventually, started_worker

from aque import brokers, errors, location, states
from aque.brokers.base import Broker
from aque.brokers.events import Event
from aque.brokers.sqlite.broker import SQLiteBroker
from aque.brokers.sqlite.lock import WriteLock
from aque.queue import Queue

#: A task that no queue can hold.
HUGE = "output." + "9" * 19


def test_a_task_is_followed_from_its_start_to_its_end(broker: Broker) -> None:
    seen: list[Event] = []
    broker.bind("task_status", seen.append)
    with started_worker(broker):
        id = script(broker, "sleep 0.3")
        eventually(lambda: Event("task_status", id, states.SUCCESS) in seen)
    assert [e.value for e in seen if e.id == id][-2:] == [states.RUNNING, states.SUCCESS]
    broker.unbind("task_status", seen.append)


def test_only_what_was_bound_is_told(broker: Broker) -> None:
    failed: list[Event] = []
    one: list[Event] = []
    broker.bind("task_status.error", failed.append)
    broker.bind("task_status.2", one.append)
    with started_worker(broker):
        ids = [script(broker, "true"), script(broker, "true"), script(broker, "exit 1")]
        eventually(lambda: failed == [Event("task_status.error", ids[2], states.ERROR)])
        eventually(lambda: Event("task_status.2", 2, states.SUCCESS) in one)
    assert {event.id for event in one} == {2}


def test_output_and_signals_of_one_task_are_told(broker: Broker) -> None:
    seen: list[Event] = []
    with started_worker(broker):
        id = script(broker, "echo one; sleep 30")
        broker.bind(f"output.{id}", seen.append)
        broker.bind(f"signal.{id}", seen.append)
        eventually(lambda: any(event.name == f"output.{id}" for event in seen))
        Queue(broker).kill([id], grace=0.2)
        eventually(lambda: Event(f"signal.{id}", id, 15) in seen)


def test_a_callback_that_fails_is_logged_and_the_others_are_called(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Event] = []

    def fail(_: Event) -> None:
        raise RuntimeError("in a callback")

    with caplog.at_level(logging.ERROR, "aque.broker"):
        broker.bind("task_status.pending", fail)
        broker.bind("task_status.pending", lambda _: sys.exit(3))
        broker.bind("task_status.pending", seen.append)
        id = script(broker, "true")
        eventually(lambda: seen == [Event("task_status.pending", id, states.PENDING)])
    assert "in a callback" in caplog.text


def test_the_thread_ends_when_nobody_is_bound_and_begins_again(broker: Broker) -> None:
    def threads() -> list[str]:
        return [t.name for t in threading.enumerate() if t.name == "aque-waiter"]

    seen: list[Event] = []
    before = len(threads())
    for _ in range(2):
        broker.bind("task_status.pending", seen.append)
        assert len(threads()) == before + 1
        broker.unbind("task_status.pending", seen.append)
        eventually(lambda: len(threads()) == before)


def test_who_is_bound_while_the_queue_is_locked_is_told_all_later(
    own_queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Event] = []
    broker = SQLiteBroker(location.find(own_queue), lock_timeout=0.01)
    broker.changes()
    with WriteLock(own_queue).held():
        broker.bind("task_status", seen.append)
        eventually(lambda: "trying again" in caplog.text)
    id = script(broker, "true")
    broker.bind("task_status", print)  # so that it is tried again at once
    eventually(lambda: seen == [Event("task_status", id, states.PENDING)])
    for callback in (seen.append, print):
        broker.unbind("task_status", callback)
    broker.close()


def test_where_the_queue_cannot_be_looked_at_nothing_is_bound(own_queue: str) -> None:
    first: list[Event] = []
    second: list[Event] = []
    broker = SQLiteBroker(location.find(own_queue), lock_timeout=0.01)
    broker.close()
    with WriteLock(own_queue).held(), pytest.raises(errors.LockTimeoutError):
        broker.bind("task_status.pending", first.append)
    broker.bind("task_status.pending", second.append)
    script(broker, "true")
    eventually(lambda: second)
    assert not first
    broker.unbind("task_status.pending", second.append)
    broker.close()


def test_a_broker_that_is_heard_no_more_goes_with_its_last_user(own_queue: str) -> None:
    broker = brokers.from_url(own_queue, durable=False)
    broker.bind("task_status", print)
    broker.unbind("task_status", print)
    gone = weakref.ref(broker)
    gc.disable()
    try:
        del broker
        eventually(lambda: gone() is None)
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "name",
    ["", "task", "task_status.", "task_status.gone", "output", "output.x", "signal.-1", HUGE],
)
def test_an_event_that_is_none_is_refused(broker: Broker, name: str) -> None:
    with pytest.raises(errors.UsageError, match="no event"):
        broker.bind(name, print)
