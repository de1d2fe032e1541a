"""Events in process: who is bound is told of what became so."""

from __future__ import annotations

import logging
import sys
import threading

import pytest
from jobs import script
from support import eventually, started_worker

from aque import errors, states
from aque.brokers.base import Broker
from aque.brokers.events import Event
from aque.queue import Queue


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


@pytest.mark.parametrize(
    "name", ["", "task", "task_status.", "task_status.gone", "output", "output.x", "signal.-1"]
)
def test_an_event_that_is_none_is_refused(broker: Broker, name: str) -> None:
    with pytest.raises(errors.UsageError, match="no event"):
        broker.bind(name, print)
