"""What is taken away under a running worker: places, files, its queue. Nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from jobs import ended, fetch, output, running, script, submit, work
from support import aque, eventually, started_worker

from aque import states
from aque.brokers.base import Broker


def waits_for(gate: Path, *after: str) -> str:
    return "; ".join([f"echo begin; until [ -e {gate} ]; do sleep 0.02; done", *after])


# A reload


def was_reloaded(pid: int) -> bool:
    return b"\0AQUE_RELOAD=" in Path(f"/proc/{pid}/environ").read_bytes()


def test_a_reloaded_worker_waits_for_a_queue_that_cannot_be_opened(
    broker: Broker, own_queue: str, tmp_path: Path
) -> None:
    gate, lock = tmp_path / "gate", Path(own_queue + "-lock")
    with started_worker(broker, stderr=subprocess.PIPE) as worker:
        id = script(broker, waits_for(gate, "echo end; exit 7"))
        running(broker, id)
        eventually(lambda: output(broker, id) == b"begin\n")
        lock.rename(tmp_path / "lock")
        lock.mkdir()
        worker.send_signal(signal.SIGHUP)
        eventually(lambda: was_reloaded(worker.pid))
        assert worker.stderr is not None
        assert b"trying again" in worker.stderr.readline()
        lock.rmdir()
        (tmp_path / "lock").rename(lock)
        gate.touch()
        task = ended(broker, id)
        assert (task.exit_status, task.attempt) == (7, 1)
        assert output(broker, id) == b"begin\nend\n"


def test_a_worker_needs_no_directory_for_temporary_files(broker: Broker, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    elsewhere = {**os.environ, "TMPDIR": "/nonexistent", "TMP": "/nonexistent"}
    with started_worker(broker, "-v", stderr=subprocess.PIPE, env=elsewhere, cwd="/proc") as worker:
        id = submit(broker, "sh", "-c", waits_for(gate, "cat"), stdin="-", stdin_value=b"stored")
        running(broker, id)
        worker.send_signal(signal.SIGHUP)
        eventually(lambda: was_reloaded(worker.pid))
        gate.touch()
        assert ended(broker, id).attempt == 1
        assert output(broker, id) == b"begin\nstored"


# The directory beside the queue


def test_the_directory_beside_a_queue_may_be_deleted_while_workers_run(
    broker: Broker, tmp_path: Path
) -> None:
    """What runs is not taken for lost, and what comes is run, however it is heard of."""
    aque("init", "--set", "poll=0.1")
    gate = tmp_path / "gate"
    with started_worker(broker), started_worker(broker):
        eventually(lambda: len(broker.workers()) == 2)
        id = script(broker, waits_for(gate, "seq 30000", "exit 7"))
        before = running(broker, id)
        os.rename(broker.directory, tmp_path / "away")
        assert ended(broker, submit(broker, "true", cpus=0)).status == states.SUCCESS
        aque("wait", "--timeout", "0.5", str(id), status=124)
        assert len(broker.workers()) == 2
        gate.touch()
        task = ended(broker, id)
        assert (task.exit_status, task.attempt, task.pid) == (7, 1, before.pid)
    expected = "begin\n" + "".join(f"{n}\n" for n in range(1, 30001))
    assert aque("output", str(id)).stdout == expected


# Jobs and their own limits


def test_a_job_that_closes_its_output_is_waited_for(broker: Broker) -> None:
    id = script(broker, "echo before; exec >&- 2>&-; sleep 0.3; exit 7")
    work(broker)
    task = fetch(broker, id)
    assert task.exit_status == 7
    assert (task.ended_at or 0) - (task.started_at or 0) >= 0.3
    assert output(broker, id) == b"before\n"


def test_a_job_may_be_ended_by_limits_of_its_own(broker: Broker, tmp_path: Path) -> None:
    file = script(broker, f"ulimit -f 1; exec head -c 100000 /dev/zero > {tmp_path}/big")
    time = script(broker, "ulimit -t 1; while :; do :; done")
    work(broker)
    assert fetch(broker, file).exit_signal == signal.SIGXFSZ
    assert "SIGXFSZ" in str(fetch(broker, file).error)
    assert fetch(broker, time).exit_signal in (signal.SIGXCPU, signal.SIGKILL)


def test_what_a_parent_ignores_a_job_does_not(broker: Broker) -> None:
    """Under nohup, and where PIPE is ignored, as some service managers do."""
    id = submit(broker, "sh", "-c", "yes | head -1; kill -HUP $$; echo not reached")
    words = [sys.executable, "-m", "aque.commands.worker", "--one"]
    subprocess.run(["sh", "-c", "trap '' PIPE HUP; exec \"$@\"", "sh", *words], check=True)
    assert fetch(broker, id).exit_signal == signal.SIGHUP
    assert output(broker, id) == b"y\n"
    assert output(broker, id, "stderr") == b""


def test_a_deep_directory_is_a_place_like_others(broker: Broker, tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d" * 200] * 15)
    deep.mkdir(parents=True)
    id = submit(broker, "pwd", cwd=str(deep))
    work(broker)
    assert output(broker, id) == f"{deep}\n".encode()


def test_a_directory_that_vanished_under_a_submit_is_none(broker: Broker, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    module = f"{sys.executable} -m aque.commands"
    text = f"cd {gone} && rmdir {gone} && {module}.submit pwd && echo a | {module}.xargs echo"
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        ["sh", "-c", text], capture_output=True, text=True, check=False, env=environ
    )
    assert (done.stdout, done.stderr) == ("1\na\n", "")
    work(broker)
    assert fetch(broker, 1).status == states.SUCCESS


def test_an_environment_too_large_for_the_system_fails_its_task_alone(broker: Broker) -> None:
    large = {"X" + str(n): "x" * 100_000 for n in range(100)}
    bad = submit(broker, "true", environ=large)
    good = submit(broker, "sh", "-c", 'echo "${#X}"', environ={"X": "x" * 100_000})
    work(broker)
    assert fetch(broker, bad).exit_status == 126
    assert "too long" in str(fetch(broker, bad).error)
    assert output(broker, good) == b"100000\n"


# The clock


def test_durations_are_not_those_of_the_clock(broker: Broker) -> None:
    """A timeout is measured in the time that runs, whatever a job's record says."""
    from aque.task import Task
    from aque.worker import limits
    from aque.worker.job import Job

    job = Job(Task(1, states.RUNNING, timeout=10.0, started_at=9e9), 1, 1, True, started=100.0)
    assert limits.verdict(job, 109.9) is None
    assert limits.verdict(job, 110.0) is not None


def test_a_clock_that_was_set_back_is_no_error(broker: Broker) -> None:
    """A task may then end before it began; what was due is due when the clock says so again."""
    from support import claim, end, enlist, prototype

    worker = enlist(broker)
    (id,) = broker.create([prototype()])
    (task,) = claim(broker, worker)
    assert broker.finish([end(task, ended_at=1.0)]) == [True]
    assert aque("status", "--all", str(id)).stderr == ""
    assert aque("status", "--json", str(id)).stderr == ""
    assert aque("wait", str(id)).returncode == 0
