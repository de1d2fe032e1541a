"""aque-status --why: why a task is not running, with its numbers."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from jobs import running, script, submit
from support import aque, started_worker

from aque.brokers.base import Broker
from aque.worker import host

CPUS = host.count_cpus()


def why(id: int) -> list[str]:
    first, *reasons = aque("status", "--why", str(id)).stdout.splitlines()
    assert first.startswith(f"{id} ")
    return [reason.removeprefix("  ") for reason in reasons]


@pytest.fixture
def holder(broker: Broker, tmp_path: object) -> Iterator[int]:
    """A task that holds all cpus of the one worker, whose name is box."""
    gate = f"{tmp_path}/gate"
    with started_worker(broker, "--name", "box"):
        id = script(broker, f"until [ -e {gate} ]; do sleep 0.01; done", cpus=CPUS, duration=300)
        running(broker, id)
        yield id
        aque("kill", "-9", str(id))


def test_a_dependency_that_has_not_ended_is_named(broker: Broker) -> None:
    ids = [submit(broker, "true") for _ in range(12)]
    last = submit(broker, "true", dependencies=ids)
    aque("kill", f"{ids[8]}-{ids[11]}")
    assert why(submit(broker, "true", after_any=ids)) == [
        f"it waits for 8 of 12: {', '.join(map(str, ids[:5]))} and 3 more"
    ]
    assert why(last) == [f"it has ended: error (task {ids[8]}, which it needs, failed)"]


def test_what_no_worker_here_can_run_is_not_sent_for_one(broker: Broker) -> None:
    assert why(submit(broker, "true")) == ["no worker is running; aque-worker starts one"]
    assert why(submit(broker, "true", cpus=2 * CPUS, host="nowhere")) == [
        "no worker is running, and one that is started here cannot run it:",
        "its host does not match nowhere",
        f"it needs {2 * CPUS} cpus, and this host has {CPUS}",
    ]


def test_a_start_time_a_pause_and_a_dependency_are_all_said(broker: Broker) -> None:
    first = submit(broker, "true")
    id = submit(broker, "true", hold=True, dependencies=[first], due_at=time.time() + 86400)
    held, waits, starts = why(id)
    assert held == f"it is paused; aque-resume {id} lets it go on"
    assert waits == f"it waits for 1 of 1: {first}"
    assert re.fullmatch(r"it starts in (1d00h|23h59m), at \d{4}-\d\d-\d\d \d\d:\d\d", starts), (
        starts
    )


def test_who_holds_what_it_needs_is_named_and_when_it_may_start(
    broker: Broker, holder: int
) -> None:
    assert why(holder) == ["it is running"]
    shortage = f"worker box: needs 1 cpus and 0 are free (held by {holder})"
    first = submit(broker, "true", priority=2000)
    assert why(first) == [shortage, "1st in line, to start in about 5 min"]
    aque("submit", "--priority", "3000", "--duration", "10m", "true")
    assert why(first) == [shortage, f"2nd in line, to start in about {5 + 10 // CPUS} min"]
    aque("submit", "--priority", "3000", "true")
    assert why(first) == [shortage, "3rd in line"]


def test_a_host_that_nobody_has_and_a_limit_that_is_used_up_are_said(broker: Broker) -> None:
    aque("limit", "nuke=2")
    with started_worker(broker, "--name", "box"):
        holder = script(broker, "sleep 60", cpus=0, limits={"nuke": 2})
        running(broker, holder)
        waiting = submit(broker, "true", limits={"nuke": 1})
        assert why(waiting) == [
            f"it needs 1 of limit nuke: 2 of 2 used by {holder}",
            "1st in line",
        ]
        elsewhere = submit(broker, "true", host="nowhere*")
        assert why(elsewhere) == [
            "no live worker may run it:",
            "worker box: its host does not match nowhere*",
        ]
        aque("kill", "-9", str(holder))
