"""aque-wait and aque-output: what they wait for, and what they exit with."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time

import pytest
from jobs import fetch, one_line, script, submit, work
from support import aque, enlist, eventually, prototype, run, started, started_worker

from aque.brokers.base import Broker
from aque.queue import Queue


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -9 $$", 137), ("kill $$", 143),
        ("exec no-such-command", 127), ("exec /etc", 126),
    ],
)  # fmt: skip
def test_the_exit_status_is_the_tasks_own(broker: Broker, text: str, status: int) -> None:
    id = script(broker, text)
    work(broker)
    done = aque("wait", str(id), status=status)
    assert (done.stdout, done.stderr) == ("", "")


def test_of_several_it_is_the_highest(broker: Broker) -> None:
    ids = [script(broker, f"exit {status}") for status in (0, 3, 2)]
    work(broker)
    aque("wait", f"{ids[0]}-{ids[-1]}", status=3)
    aque("wait", str(ids[0]), str(ids[2]), status=2)
    aque("output", "-w", "all", status=3)


def test_a_failed_call_is_1(broker: Broker) -> None:
    id = Queue(broker).submit(int, "no number").id
    work(broker)
    aque("wait", str(id), status=1)


def test_a_cancelled_task_is_125_if_it_never_ran(broker: Broker) -> None:
    id = submit(broker, "true")
    Queue(broker).kill([id])
    aque("wait", str(id), status=125)
    aque("output", "-w", str(id), status=125)


def test_a_timeout_is_124(broker: Broker) -> None:
    first, second = submit(broker, "true"), submit(broker, "true", cpus=10_000)
    work(broker)
    began = time.monotonic()
    done = aque("wait", "--timeout", "0.3", f"{first}-{second}", status=124)
    assert time.monotonic() - began >= 0.3
    one_line(done.stderr, "aque-wait: 1 of 2 tasks have not ended")
    aque("wait", "--timeout", "0.1", "--any", str(second), status=124)
    aque("wait", "--any", f"{first}-{second}")


def test_waiting_ends_soon_after_the_task(broker: Broker) -> None:
    ids = [script(broker, "sleep 0.2; exit 4") for _ in range(2)]
    words = [sys.executable, "-m", "aque.commands.wait", *map(str, ids)]
    with started(words) as waiter, started_worker(broker):
        eventually(lambda: all(fetch(broker, id).is_complete for id in ids))
        assert waiter.wait(2) == 4


def test_a_task_that_is_removed_meanwhile_ends_the_wait(broker: Broker) -> None:
    id = submit(broker, "true")
    words = [sys.executable, "-m", "aque.commands.wait", str(id)]
    with started(words, stderr=subprocess.PIPE) as waiter:
        Queue(broker).kill([id])
        Queue(broker).remove([id])
        assert waiter.wait(10) in (1, 125)  # it may have seen it cancelled


def test_a_dead_workers_task_is_not_waited_for_in_vain(broker: Broker) -> None:
    text = "[ $AQUE_ATTEMPT -gt 1 ] || sleep 600"
    with started_worker(broker) as worker:
        id = script(broker, text)
        eventually(lambda: fetch(broker, id).status == "running")
        worker.kill()
        worker.wait()
    enlist(broker, kind="xargs")  # which takes nobody else's tasks
    words = [sys.executable, "-m", "aque.commands.wait", str(id)]
    with started(words, stderr=subprocess.PIPE) as waiter:
        eventually(lambda: fetch(broker, id).status == "pending")
        assert waiter.stderr is not None
        assert waiter.stderr.readline() == (
            b"aque-wait: no worker is running; aque-worker starts one\n"
        )
        work(broker)
        assert waiter.wait(10) == 0


def test_a_terminal_is_told_how_many_have_ended(broker: Broker) -> None:
    worker = enlist(broker)
    broker.create([prototype(), prototype()])
    run(broker, worker, 1)
    mine, theirs = pty.openpty()
    aque("wait", "--timeout", "0.1", "1-2", status=124, capture_output=False, stderr=theirs)
    os.close(theirs)
    said = os.read(mine, 4096).decode()
    os.close(mine)
    assert said.startswith("\r1 of 2 have ended ") or "\r1 of 2 have ended " in said
    assert said.endswith("\raque-wait: 1 of 2 tasks have not ended\r\n")
    alone = aque("wait", "--timeout", "0", "2", status=124).stderr
    assert alone == "aque-wait: task 2 has not ended: it is pending\n"
