"""aque-kill: what runs gets the signal and has its grace, what waits never starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from jobs import (
    ended,
    fetch,
    is_alive,
    kill_unguarded,
    one_line,
    output,
    read_pid,
    running,
    script,
    submit,
    work,
)
from support import aque, eventually, started, started_worker

from aque import states
from aque.brokers.base import Broker
from aque.commands import why
from aque.queue import Queue

#: Says it is ready, and does not heed TERM.
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.05; done"


def pids_of(broker: Broker, id: int) -> list[int]:
    """Return the process of a running task and all below it."""
    pid = running(broker, id).pid
    assert pid is not None
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def test_a_tree_of_running_sleeps_is_killed_from_its_top(broker: Broker) -> None:
    def sleeper(*dependencies: object, **fields: object) -> dict[str, object]:
        words = ["sh", "-c", "sleep 600 & sleep 600 & wait"]
        return {
            "pattern": "shell", "args": words, "cpus": 0, "after_any": dependencies, **fields
        }  # fmt: skip

    # A group over three children, which waits for two more that run as well.
    left, right = sleeper(), sleeper()
    top = {"children": [sleeper(), sleeper(), sleeper()], "dependencies": [left, right]}
    queue = Queue(broker)
    (future,) = queue.submit_many([top])
    dependent = queue.submit_ex(pattern="shell", args=["true"], dependencies=[future]).id
    ids = [task.id for task in broker.fetch(queue.in_order([future.id]))]
    sleeping = [id for id in ids if id != future.id]
    assert len(sleeping) == 5
    with started_worker(broker):
        eventually(lambda: all(len(pids_of(broker, id)) == 3 for id in sleeping))
        pids = [pid for id in sleeping for pid in pids_of(broker, id)]
        done = aque("kill", "-r", str(future.id))
        assert (done.stdout, done.stderr) == ("", "")
        assert not [pid for pid in pids if is_alive(pid)]
    assert {fetch(broker, id).status for id in ids} == {states.CANCELLED}
    assert fetch(broker, dependent).status == states.ERROR
    assert fetch(broker, dependent).cause in ids


def test_what_runs_is_cancelled_and_its_signal_kept(broker: Broker) -> None:
    with started_worker(broker):
        id = submit(broker, "sleep", "600")
        running(broker, id)
        aque("kill", str(id))
        task = fetch(broker, id)
        assert (task.status, task.exit_signal) == (states.CANCELLED, signal.SIGTERM)
        assert aque("wait", str(id), status=143).stdout == ""


def test_who_waits_for_a_worker_that_is_stopped_is_told(broker: Broker) -> None:
    with started_worker(broker, "--name", "box") as worker:
        id = submit(broker, "sleep", "600")
        running(broker, id)
        worker.send_signal(signal.SIGSTOP)
        remedy = f"is stopped; fg or kill -CONT {worker.pid} lets it go on"
        called = f"worker box (pid {worker.pid})"
        eventually(lambda: why.explain(broker, fetch(broker, id))[1:] == [f"{called} {remedy}"])
        words = [sys.executable, "-m", "aque.commands.kill", str(id)]
        with started(words, stderr=subprocess.PIPE) as killing:
            assert killing.stderr is not None
            said = killing.stderr.readline().decode()
            assert said == f"aque-kill: waits for {called}, which {remedy}\n"
            worker.send_signal(signal.SIGCONT)
            assert killing.wait(10) == 0
    assert fetch(broker, id).status == states.CANCELLED


def test_what_does_not_heed_term_is_killed_after_the_grace(broker: Broker) -> None:
    with started_worker(broker):
        id = script(broker, STUBBORN)
        eventually(lambda: output(broker, id) == b"ready\n")
        pids = pids_of(broker, id)
        began = time.monotonic()
        aque("kill", "--grace", "0.5", str(id))
        assert time.monotonic() - began >= 0.5
        assert not [pid for pid in pids if is_alive(pid)]
        task = fetch(broker, id)
        assert (task.status, task.exit_signal) == (states.CANCELLED, signal.SIGKILL)


def test_what_its_shell_has_started_has_the_grace_too(broker: Broker, tmp_path: Path) -> None:
    """The shell dies of the signal at once; the child still ends in its own way."""
    done = tmp_path / "done"
    child = f"trap 'sleep 0.3; touch {done}; exit' TERM; echo ready; while :; do sleep 0.01; done"
    with started_worker(broker):
        id = submit(broker, "sh", "-c", f'sh -c "{child}"; true')
        eventually(lambda: output(broker, id) == b"ready\n")
        aque("kill", "--grace", "10", str(id))
        assert done.exists()
        assert fetch(broker, id).status == states.CANCELLED


def test_a_stubborn_child_of_a_shell_that_died_is_killed_after_the_grace(
    broker: Broker, tmp_path: Path
) -> None:
    """And so is what it has started since we looked last."""
    pid_file = tmp_path / "pid"
    fork = "sleep 600 & /bin/true; kill -9 $last; last=$!"
    child = f"trap '' TERM; echo $$ > {pid_file}; last=; while :; do {fork}; done 2> /dev/null"
    (tmp_path / "child").write_text(child)
    with started_worker(broker):
        id = script(broker, f"sh {tmp_path}/child; true")
        pid = read_pid(pid_file)
        aque("kill", "--grace", "0.3", str(id))
        assert not is_alive(pid)
        assert fetch(broker, id).status == states.CANCELLED


@pytest.mark.parametrize("grace", ["10", "0.3"])
def test_what_became_a_daemon_is_killed_with_its_task(
    broker: Broker, tmp_path: Path, grace: str
) -> None:
    """It has its own session, and its parent has ended; a stubborn one is killed by the grace."""
    trap = "" if grace == "10" else 'trap "" TERM; '
    stay = f"{trap}echo $$ > {tmp_path}/pid; while :; do sleep 0.05; done"
    other = submit(broker, "sleep", "600", cpus=0)
    id = script(broker, f"(setsid sh -c '{stay}' > /dev/null 2>&1 &); exec sleep 600", cpus=0)
    with started_worker(broker):
        running(broker, other), running(broker, id)
        pid = read_pid(tmp_path / "pid")
        aque("kill", "--grace", grace, str(id))
        assert not is_alive(pid)
        assert fetch(broker, id).status == states.CANCELLED
        assert fetch(broker, other).status == states.RUNNING
        aque("kill", str(other))


def test_a_second_kill_may_be_harder_than_the_first(broker: Broker) -> None:
    with started_worker(broker):
        id = script(broker, STUBBORN)
        eventually(lambda: output(broker, id) == b"ready\n")
        Queue(broker).kill([id], grace=600)
        aque("kill", "-9", str(id))
        assert fetch(broker, id).exit_signal == signal.SIGKILL


def test_what_waits_never_starts(broker: Broker) -> None:
    first = submit(broker, "true")
    dependent = submit(broker, "true", dependencies=[first])
    aque("kill", str(first))
    work(broker)
    task = fetch(broker, first)
    assert (task.status, task.started_at) == (states.CANCELLED, None)
    assert fetch(broker, dependent).status == states.ERROR
    aque("wait", str(first), status=125)
    aque("wait", str(dependent), status=1)


@pytest.mark.parametrize(
    ("option", "number"),
    [("-9", 9), ("-SIGKILL", 9), ("-INT", 2), ("-s USR2", 12)],
)
def test_a_signal_is_given_as_to_kill(broker: Broker, option: str, number: int) -> None:
    with started_worker(broker):
        id = submit(broker, "sleep", "600")
        running(broker, id)
        aque("kill", *option.split(), str(id))
        task = fetch(broker, id)
        assert (task.status, task.exit_signal) == (states.CANCELLED, number)


@pytest.mark.parametrize("option", ["-FOO", "-0"])
def test_what_is_no_signal_is_said(broker: Broker, option: str) -> None:
    one_line(aque("kill", option, "1", status=2).stderr, f"'{option[1:]}' is no signal; write 9")


def test_a_signal_alone_leaves_the_task_to_itself(broker: Broker) -> None:
    text = "trap 'echo heard; exit 3' USR1; echo ready; while :; do sleep 0.01; done"
    with started_worker(broker):
        id = script(broker, text)
        eventually(lambda: output(broker, id) == b"ready\n")
        aque("kill", "--signal-only", "-USR1", str(id))
        task = ended(broker, id)
        # The sleep dies of USR1, the shell does not.
        assert (task.status, task.exit_status) == (states.ERROR, 3)
        assert output(broker, id).endswith(b"heard\n")


def test_a_stopped_task_goes_on_and_can_be_killed(broker: Broker) -> None:
    with started_worker(broker):
        id = submit(broker, "sleep", "600")
        pid = running(broker, id).pid
        aque("kill", "--signal-only", "-STOP", str(id))
        eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        aque("kill", "--signal-only", "-CONT", str(id))
        eventually(lambda: psutil.Process(pid).status() != psutil.STATUS_STOPPED)
        aque("kill", "--signal-only", "-STOP", str(id))
        eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        aque("kill", str(id))
        assert fetch(broker, id).exit_signal == signal.SIGTERM


def test_a_task_whose_worker_is_dead_is_killed_by_the_command_itself(broker: Broker) -> None:
    with started_worker(broker) as worker:
        id = script(broker, "sleep 600 & sleep 600")
        eventually(lambda: len(pids_of(broker, id)) == 3)
        pids = pids_of(broker, id)
        kill_unguarded(worker)
    assert [pid for pid in pids if is_alive(pid)] == pids
    aque("kill", str(id))
    assert not [pid for pid in pids if is_alive(pid)]
    assert fetch(broker, id).status == states.CANCELLED
    assert not broker.workers()
    work(broker)
    assert fetch(broker, id).attempt == 1


def test_a_task_whose_worker_is_stopped_is_killed_when_that_goes_on(broker: Broker) -> None:
    with started_worker(broker) as worker:
        id = submit(broker, "sleep", "600")
        running(broker, id)
        worker.send_signal(signal.SIGSTOP)
        Queue(broker).kill([id])
        assert fetch(broker, id).status == states.RUNNING
        worker.send_signal(signal.SIGCONT)
        assert ended(broker, id).status == states.CANCELLED


def test_what_has_ended_cannot_be_killed(broker: Broker) -> None:
    first, second = submit(broker, "true"), submit(broker, "false")
    work(broker)
    one_line(aque("kill", str(first), status=1).stderr, f"task {first}", "success")
    one_line(aque("kill", f"{first}-{second}", status=1).stderr, "2 tasks have ended")
    one_line(aque("kill", "--signal-only", str(first), status=1).stderr, "none of these is running")
    assert fetch(broker, first).status == states.SUCCESS


def test_of_several_those_that_live_are_killed(broker: Broker) -> None:
    first = submit(broker, "true")
    work(broker)
    second = submit(broker, "true")
    aque("kill", str(first), str(second))
    assert [fetch(broker, id).status for id in (first, second)] == ["success", "cancelled"]


def test_a_python_task_is_killed_and_its_runner_with_it(broker: Broker, tmp_path: Path) -> None:
    with started_worker(broker):
        future = Queue(broker).submit(time.sleep, 600)
        pid = running(broker, future.id).pid
        assert pid is not None
        aque("kill", "-INT", str(future.id))
        assert fetch(broker, future.id).status == states.CANCELLED
        eventually(lambda: not is_alive(pid))
        again = Queue(broker).submit(os.getpid)
        assert again.result(10) != pid
