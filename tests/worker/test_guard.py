"""aque-guard: a worker is killed by -9, and what it ran is gone at once, without anybody's help."""

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
    guard_of,
    in_namespace,
    is_alive,
    output,
    read_pid,
    running,
    script,
    submit,
    work,
)
from support import eventually, python, started, started_worker

from aque import states
from aque.brokers.base import Broker
from aque.queue import Queue
from aque.report import Start
from aque.worker.guarding import Guard

#: Seconds in which what a killed worker ran has to be gone: on a machine at rest it takes 0.03.
SOON = 5.0

#: Writes its pid to $1 and stays.
STAY = 'echo $$ > "$1"; exec sleep 600'
#: Ways to be hard to find; each runs STAY in the end.
HIDING = {
    "as it is": 'exec sh -c "$STAY" sh "$1"',
    "in the background": 'sh -c "$STAY" sh "$1" & wait',
    "in a session of its own": 'setsid sh -c "$STAY" sh "$1" & wait',
    "as a daemon": '(setsid sh -c "$STAY" sh "$1" &) ; exec sleep 600',
    "without an environment": 'exec env -i sh -c "$STAY" sh "$1"',
    "without an environment or a parent": '(env -i sh -c "$STAY" sh "$1" &) ; exec sleep 600',
    "without an environment, as a child": 'env -i sh -c "$STAY" sh "$1" & wait',
    "ignoring what it can": 'trap "" HUP INT TERM QUIT; exec sh -c "$STAY" sh "$1"',
}


def kill(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    worker.wait()


def gone(pid: int, within: float = SOON) -> None:
    began = time.monotonic()
    eventually(lambda: not is_alive(pid))
    assert time.monotonic() - began < within


def hide(broker: Broker, how: str, pid_file: Path) -> int:
    text = f"STAY='{STAY}'; export STAY; {HIDING[how]}"
    return submit(broker, "sh", "-c", text, "sh", str(pid_file))


@pytest.mark.parametrize("how", HIDING)
def test_what_ran_is_gone_within_a_second(broker: Broker, tmp_path: Path, how: str) -> None:
    with started_worker(broker) as worker:
        id = hide(broker, how, tmp_path / "pid")
        pid, leader = read_pid(tmp_path / "pid"), running(broker, id).pid
        guard = guard_of(worker.pid)
        kill(worker)
        gone(pid)
        assert leader is not None
        gone(leader)
        gone(guard)


@pytest.mark.parametrize("how", ["as a daemon", "without an environment or a parent"])
def test_what_was_started_a_moment_before_is_gone_too(
    broker: Broker, tmp_path: Path, how: str
) -> None:
    """Nobody was told of it yet."""
    with started_worker(broker) as worker:
        guard_of(worker.pid)
        for n in range(5):
            hide(broker, how, tmp_path / f"pid{n}")
        eventually(lambda: any(tmp_path.glob("pid*")))
        kill(worker)
        eventually(lambda: not marked_processes(broker), SOON)
        for path in tmp_path.glob("pid*"):
            if path.read_text():
                gone(int(path.read_text()))


def marked_processes(broker: Broker) -> list[int]:
    """Return the processes that run for this queue."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("AQUE_BROKER") == broker.to_url() and "AQUE_JOB" in (
                process.environ()
            ):
                found.append(process.pid)
        except psutil.Error:
            continue
    return [pid for pid in found if is_alive(pid)]


def test_a_family_that_goes_on_forking_is_ended(broker: Broker, tmp_path: Path) -> None:
    text = "fork() { (env -i sh -c 'sleep 0.02; exec sleep 600' &) ; }; while :; do fork; done"
    id = script(broker, f"echo $$ > {tmp_path}/pid; {text}", stdout="/dev/null")
    with started_worker(broker) as worker:
        pid = read_pid(tmp_path / "pid")
        running(broker, id)
        worker.send_signal(signal.SIGSTOP)
        os.kill(pid, signal.SIGSTOP)
        session = {p.pid for p in psutil.process_iter() if is_of_session(p.pid, pid)}
        os.kill(pid, signal.SIGCONT)
        kill(worker)
        for each in session:
            gone(each, 5)
        eventually(lambda: not [p for p in psutil.pids() if is_of_session(p, pid)])


def is_of_session(pid: int, session: int) -> bool:
    try:
        return os.getsid(pid) == session and is_alive(pid)
    except ProcessLookupError:
        return False


def test_a_python_task_and_what_it_started_are_gone(broker: Broker, tmp_path: Path) -> None:
    """It overwrites its environment, as a program that sets its title does."""
    code = f"""
import subprocess, time
from setproctitle import setproctitle
child = subprocess.Popen(["sleep", "600"], env={{}}, start_new_session=True)
setproctitle("x" * 4096)
with open({str(tmp_path / "pid")!r}, "w") as file: print(child.pid, file=file)
time.sleep(600)
"""
    with started_worker(broker) as worker:
        future = Queue(broker).submit(exec, code)
        pid, runner = read_pid(tmp_path / "pid"), running(broker, future.id).pid
        guard_of(worker.pid)
        assert runner is not None
        kill(worker)
        gone(runner)
        gone(pid)


def test_the_tasks_wait_again_and_run_once_more(broker: Broker, tmp_path: Path) -> None:
    text = 'echo $AQUE_ATTEMPT; [ $AQUE_ATTEMPT -gt 1 ] || { echo $$ > "$1"; exec sleep 600; }'
    id = submit(broker, "sh", "-c", text, "sh", str(tmp_path / "pid"))
    with started_worker(broker) as worker:
        pid = read_pid(tmp_path / "pid")
        guard_of(worker.pid)
        kill(worker)
        gone(pid)
    work(broker)
    assert (fetch(broker, id).status, fetch(broker, id).attempt) == (states.SUCCESS, 2)
    assert output(broker, id) == b"2\n"


def test_nobody_waits_for_the_guard(broker: Broker, tmp_path: Path) -> None:
    """Here it hangs: the next worker ends what was left itself, and runs the task."""
    id = script(broker, f"echo $$ > {tmp_path}/pid; test $AQUE_ATTEMPT -gt 1 || exec sleep 600")
    with started_worker(broker) as worker:
        pid, guard = read_pid(tmp_path / "pid"), guard_of(worker.pid)
        os.kill(guard, signal.SIGSTOP)
        kill(worker)
        work(broker)
        assert fetch(broker, id).status == states.SUCCESS
        assert not is_alive(pid)
        os.kill(guard, signal.SIGCONT)
        gone(guard)


def test_only_what_is_its_own_is_touched(broker: Broker, tmp_path: Path) -> None:
    with started_worker(broker) as one, started_worker(broker) as other:
        guard_of(one.pid), guard_of(other.pid)
        ids = [script(broker, "exec sleep 600", cpus=0) for _ in range(8)]
        tasks = [running(broker, id) for id in ids]
        (dead,) = [w for w in broker.workers() if w.pid == one.pid]
        # Who recovers is a third: the one that lives is stopped.
        other.send_signal(signal.SIGSTOP)
        kill(one)
        for task in tasks:
            assert task.pid is not None
            if task.worker == dead.id:
                gone(task.pid)
            else:
                assert is_alive(task.pid)
        other.send_signal(signal.SIGCONT)
        Queue(broker).kill(ids, signal.SIGKILL)


# What it is


def test_it_is_a_program_with_a_name_and_a_session_of_its_own(broker: Broker) -> None:
    with started_worker(broker) as worker:
        guard = guard_of(worker.pid)
        assert os.getsid(guard) == guard
        assert os.readlink(f"/proc/{guard}/cwd") == "/"
        names = eventually(lambda: names_of(guard))
        assert sorted(names) == ["0", "1", "2"]
        assert names["0"].startswith("pipe:")
        assert (names["1"], names["2"]) == (os.devnull, os.devnull)
        assert b"AQUE_" not in Path(f"/proc/{guard}/environ").read_bytes()


def names_of(pid: int) -> dict[str, str]:
    """Return what a process has open, once that is no more than the standard streams."""
    names = {p.name: os.readlink(p) for p in Path(f"/proc/{pid}/fd").iterdir()}
    return names if len(names) == 3 else {}


def test_it_holds_nothing_that_its_worker_had_open(broker: Broker, tmp_path: Path) -> None:
    with open(tmp_path / "file", "w") as file:
        options = {"pass_fds": [file.fileno()]}
        with started_worker(broker, **options) as worker:
            assert len(eventually(lambda: names_of(guard_of(worker.pid)))) == 3


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_a_signal_that_can_be_ignored_is(broker: Broker, number: int) -> None:
    with started_worker(broker) as worker:
        guard = guard_of(worker.pid)
        os.kill(guard, number)
        ended(broker, submit(broker, "true"))
        assert guard_of(worker.pid) == guard


def test_a_worker_without_standard_streams_has_one_too(broker: Broker, tmp_path: Path) -> None:
    words = f"exec {sys.executable} -m aque.commands.worker <&- >&- 2>&-"
    with started(["sh", "-c", words]) as worker:
        hide(broker, "as a daemon", tmp_path / "pid")
        pid, guard = read_pid(tmp_path / "pid"), guard_of(worker.pid)
        kill(worker)
        gone(pid)
        gone(guard)


def test_killall_finds_workers_and_no_guard() -> None:
    words = in_namespace("--pid", "--fork", "--mount-proc", "--kill-child")
    code = """
import os, subprocess, sys
from jobs import guard_of
worker = subprocess.Popen([sys.executable, "-m", "aque.commands.worker"])
guard = guard_of(worker.pid)
def named(name):
    found = subprocess.run(["pgrep", "-x", name], stdout=subprocess.PIPE).stdout
    return [int(pid) for pid in found.split()]
assert (named("aque-worker"), named("aque-guard")) == ([worker.pid], [guard])
subprocess.run(["killall", "aque-worker"], check=True)
assert worker.wait(10) == 0
"""
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with started([*words, sys.executable, "-c", code], env=environ) as run:
        assert run.wait(20) == 0


# Its life


def test_it_ends_with_its_worker_and_leaves_what_tasks_meant_to_leave(
    broker: Broker, tmp_path: Path
) -> None:
    """A task that has succeeded may have started a daemon; that is no leftover of a dead worker."""
    with started_worker(broker, "--to-end") as worker:
        text = f"setsid sh -c '{STAY}' sh {tmp_path}/pid > /dev/null 2>&1 < /dev/null &"
        id = script(broker, f"{text} until [ -e {tmp_path}/gate ]; do sleep 0.01; done")
        pid, guard = read_pid(tmp_path / "pid"), guard_of(worker.pid)
        (tmp_path / "gate").touch()
        assert worker.wait(20) == 0
        gone(guard)
    assert fetch(broker, id).status == states.SUCCESS
    assert is_alive(pid)
    os.kill(pid, signal.SIGKILL)


def test_another_is_started_when_it_is_killed_and_knows_all(broker: Broker, tmp_path: Path) -> None:
    """The job has no environment, so the new guard must have been told."""
    with started_worker(broker, stderr=subprocess.PIPE) as worker:
        id = hide(broker, "without an environment", tmp_path / "pid")
        pid, first = read_pid(tmp_path / "pid"), guard_of(worker.pid)
        running(broker, id)
        os.kill(first, signal.SIGKILL)
        second = eventually(lambda: other_guard(worker.pid, first))
        kill(worker)
        gone(pid)
        gone(second)
        assert worker.stderr is not None
        assert b"the guard has ended" in worker.stderr.read()


def other_guard(worker: int, first: int) -> int:
    found = guard_of(worker)
    return 0 if found == first else found


def test_it_stays_over_a_reload_and_knows_what_was_started_before(
    broker: Broker, tmp_path: Path
) -> None:
    with started_worker(broker, "-v", stderr=subprocess.PIPE) as worker:
        assert worker.stderr is not None
        stderr = worker.stderr
        id = hide(broker, "without an environment", tmp_path / "pid")
        pid, guard = read_pid(tmp_path / "pid"), guard_of(worker.pid)
        running(broker, id)
        for _ in range(2):
            worker.send_signal(signal.SIGHUP)
            eventually(lambda: b"reloaded" in stderr.readline())
        later = ended(broker, submit(broker, "true"))
        assert later.status == states.SUCCESS
        assert guard_of(worker.pid) == guard
        kill(worker)
        gone(pid)
        gone(guard)


def test_a_guard_that_is_killed_after_a_reload_is_replaced(broker: Broker) -> None:
    with started_worker(broker, "-v", stderr=subprocess.PIPE) as worker:
        assert worker.stderr is not None
        stderr = worker.stderr
        first = guard_of(worker.pid)
        worker.send_signal(signal.SIGHUP)
        eventually(lambda: b"reloaded" in stderr.readline())
        os.kill(first, signal.SIGKILL)
        eventually(lambda: other_guard(worker.pid, first))


def test_a_worker_killed_while_it_starts_leaves_no_guard(broker: Broker) -> None:
    code = """
import os, signal, sys
from aque.worker.guarding import Guard
guard = Guard("0" * 32)
guard.attend(has_jobs=True)
print(guard.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    for _ in range(3):
        done = python(code, status=-signal.SIGKILL)
        gone(int(done.stdout))


def test_a_guard_that_cannot_be_started_keeps_no_worker_from_its_work(
    broker: Broker, tmp_path: Path
) -> None:
    code = """
import sys
from aque.commands import worker
sys.executable = "/nowhere/python"
sys.exit(worker.main(["--to-end", "-v"]))
"""
    id = script(broker, "echo done")
    done = python(code)
    assert fetch(broker, id).status == states.SUCCESS
    assert "cannot start the guard" in done.stderr


# Under aque-xargs

XARGS = [sys.executable, "-m", "aque.commands.xargs"]


@pytest.mark.parametrize("how", ["as it is", "as a daemon", "in the background"])
def test_the_commands_of_a_killed_xargs_are_gone(tmp_path: Path, how: str) -> None:
    text = f"STAY='{STAY}'; export STAY; {HIDING[how]}"
    words = [*XARGS, "sh", "-c", text, "sh", str(tmp_path / "pid")]
    with started(words, stdin=subprocess.DEVNULL) as xargs:
        pid, guard = read_pid(tmp_path / "pid"), guard_of(xargs.pid)
        kill(xargs)
        gone(pid)
        gone(guard)


def test_a_guard_killed_before_it_has_read_all_is_done_without() -> None:
    guard = Guard("0" * 32)
    guard.attend(has_jobs=True)
    pid = guard.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    for number in range(3000):  # more than a pipe holds
        guard.add(Start(1, 1, (1 << 30) + number, 1 << 62, None))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert guard.note_ended(pid)
    guard.attend(has_jobs=True)
    assert guard.pid is None
    guard.leave()
