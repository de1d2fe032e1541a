"""aque-pause: holds what waits, and stops what runs."""

from __future__ import annotations

from pathlib import Path

import psutil
from jobs import ended, fetch, one_line, output, running, script, submit, work
from support import aque, eventually, started_worker

from aque import states
from aque.brokers.base import Broker

#: A child that had ended stays a zombie while its parent is stopped, and a parent whose vforked
#: child is stopped before its exec cannot even be stopped.
STILL = {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE, psutil.STATUS_DISK_SLEEP}


def is_stopped(pid: int) -> bool:
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    statuses = {process.status() for process in family}
    return psutil.STATUS_STOPPED in statuses and statuses <= STILL


def test_a_paused_task_is_left_until_it_is_resumed(broker: Broker) -> None:
    one, two = submit(broker, "true"), submit(broker, "true")
    assert aque("pause", str(one)).stdout == ""
    work(broker)
    assert [fetch(broker, id).status for id in (one, two)] == ["paused", "success"]
    aque("resume", str(one))
    work(broker)
    assert fetch(broker, one).status == states.SUCCESS


def test_all_processes_of_a_running_task_are_stopped_and_go_on(
    broker: Broker, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    text = f"sleep 60 & until [ -e {gate} ]; do sleep 0.01; done; echo through; kill $!"
    with started_worker(broker):
        id = script(broker, text)
        pid = running(broker, id).pid
        assert pid is not None
        aque("pause", str(id))
        eventually(lambda: is_stopped(pid))
        gate.touch()
        task = fetch(broker, id)
        assert task.status == states.RUNNING
        assert task.stopped_at is not None
        assert " stopped " in aque("status", str(id)).stdout
        aque("resume", str(id))
        assert ended(broker, id).status == states.SUCCESS
        assert output(broker, id) == b"through\n"


def test_a_stopped_task_can_be_killed(broker: Broker) -> None:
    with started_worker(broker):
        id = submit(broker, "sleep", "60")
        pid = running(broker, id).pid
        assert pid is not None
        aque("pause", str(id))
        eventually(lambda: is_stopped(pid))
        aque("kill", str(id))
        assert fetch(broker, id).status == states.CANCELLED


def test_a_group_is_paused_with_its_children(broker: Broker) -> None:
    from aque.queue import Queue

    group = Queue(broker).submit_ex(
        children=[{"pattern": "shell", "args": ["true"]} for _ in range(3)]
    )
    aque("pause", str(group.id))
    work(broker)
    assert {task.status for task in broker.search()} == {states.PAUSED}
    aque("resume", str(group.id))
    work(broker)
    assert {task.status for task in broker.search()} == {states.SUCCESS}


def test_what_has_ended_cannot_be_paused(broker: Broker) -> None:
    id = submit(broker, "true")
    work(broker)
    done = aque("pause", str(id), status=1)
    one_line(done.stderr, "aque-pause: ", "pending or running")
