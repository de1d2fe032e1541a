"""HUP: the worker execs itself, same pid, and what runs never notices."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FunctionType, MethodType

import pytest
from jobs import CHECKOUT, ended, fetch, in_namespace, is_alive, output, running, script, submit
from support import eventually, started, started_worker

from aque import states
from aque.brokers.base import Broker
from aque.queue import Queue
from aque.worker.guarding import Guard
from aque.worker.job import Job

Popen = subprocess.Popen[bytes]
#: What of a class is no field.
_CODE = (FunctionType, MethodType, property)


def reloaded(worker: Popen) -> None:
    """Send HUP, and wait until the new program says it has taken over."""
    worker.send_signal(signal.SIGHUP)
    wait_reloaded(worker)


def wait_reloaded(worker: Popen) -> None:
    assert worker.stderr is not None
    while line := worker.stderr.readline():
        if b"reloaded" in line:
            return
    raise AssertionError("the worker has ended")


def gate_script(gate: Path, *lines: str) -> str:
    wait = f"until [ -e {gate} ]; do sleep 0.01; done"
    return "; ".join([lines[0], wait, *lines[1:]])


def test_what_runs_goes_on_under_the_same_worker(broker: Broker, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with started_worker(broker, "-v", stderr=subprocess.PIPE) as worker:
        id = script(broker, gate_script(gate, "echo one", "echo two; echo err >&2; exit 7"))
        before = running(broker, id)
        eventually(lambda: output(broker, id) == b"one\n")
        reloaded(worker)
        (record,) = broker.workers()
        assert record.pid == worker.pid
        assert fetch(broker, id) == before
        gate.touch()
        task = ended(broker, id)
        assert (task.status, task.exit_status, task.attempt) == (states.ERROR, 7, 1)
        assert task.user_time is not None
        assert task.worker == record.id
        assert output(broker, id) == b"one\ntwo\n"
        assert output(broker, id, "stderr") == b"err\n"
        assert ended(broker, submit(broker, "true")).worker == record.id
    assert not broker.workers()


def test_a_worker_killed_after_a_reload_is_known_to_be_dead(broker: Broker) -> None:
    """What is started after a reload must not inherit the lock that says the worker lives."""
    with started_worker(broker, "-v", stderr=subprocess.PIPE) as worker:
        ended(broker, submit(broker, "true"))
        reloaded(worker)
        id = script(broker, "test $AQUE_ATTEMPT -ge 2 || exec sleep 60")
        pid = running(broker, id).pid
        worker.kill()
        worker.wait()
    with started_worker(broker):
        task = ended(broker, id)
    assert (task.status, task.attempt) == (states.SUCCESS, 2)
    assert pid is not None
    assert not is_alive(pid)


def test_a_task_that_ends_during_the_exec_is_heard(broker: Broker) -> None:
    """Many short ones, so that some end while nobody is there."""
    with started_worker(broker, "-v", stderr=subprocess.PIPE) as worker:
        eventually(broker.workers)
        ids = [script(broker, f"sleep 0.0{n % 10}; echo {n}; exit {n % 3}") for n in range(60)]
        for _ in range(4):
            reloaded(worker)
        for n, id in enumerate(ids):
            task = ended(broker, id)
            assert (task.exit_status, task.attempt) == (n % 3, 1)
            assert output(broker, id) == f"{n}\n".encode()


def test_a_burst_of_hups_is_as_good_as_one(broker: Broker, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with started_worker(broker, "-v", stderr=subprocess.PIPE) as worker:
        id = script(broker, gate_script(gate, "echo one", "echo two"))
        running(broker, id)
        for _ in range(20):
            worker.send_signal(signal.SIGHUP)
            time.sleep(0.005)
        wait_reloaded(worker)
        gate.touch()
        assert ended(broker, id).status == states.SUCCESS
        assert output(broker, id) == b"one\ntwo\n"
        assert ended(broker, submit(broker, "true")).status == states.SUCCESS
        worker.terminate()
        assert worker.wait(10) == 0


def test_a_python_task_goes_on_and_its_result_comes_back(broker: Broker, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with started_worker(broker, "-v", stderr=subprocess.PIPE) as worker:
        code = (
            "import os, time\nprint('one')\n"
            f"while not os.path.exists({str(gate)!r}): time.sleep(0.01)\nprint('two')"
        )
        future = Queue(broker).submit(exec, code)
        before = running(broker, future.id)
        eventually(lambda: output(broker, future.id) == b"one\n")
        reloaded(worker)
        gate.touch()
        assert future.result(10) is None
        assert (future.task().attempt, future.task().pid) == (1, before.pid)
        assert output(broker, future.id) == b"one\ntwo\n"
        # The runner held the old code.
        assert Queue(broker).submit(os.getpid).result(10) != before.pid


def test_large_output_goes_on_in_its_file(broker: Broker, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    lines = "seq -f %09.f {} {}"
    first, last = lines.format(1, 20000), lines.format(20001, 40000)
    with started_worker(broker, "-v", stderr=subprocess.PIPE) as worker:
        id = script(broker, gate_script(gate, first, last))
        path = Path(broker.output_path(id, 1, "stdout"))
        eventually(lambda: path.exists() and path.stat().st_size == 200_000 - 65536)
        reloaded(worker)
        gate.touch()
        ended(broker, id)
    whole = output(broker, id) + path.read_bytes()
    assert whole == b"".join(b"%09d\n" % n for n in range(1, 40001))


def test_output_never_stops_while_the_worker_reloads(broker: Broker) -> None:
    text = "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo $i; sleep 0.002; done"
    with started_worker(broker, "-v", stderr=subprocess.PIPE) as worker:
        id = script(broker, text)
        running(broker, id)
        for _ in range(4):
            reloaded(worker)
        assert ended(broker, id).status == states.SUCCESS
        assert output(broker, id).split() == [b"%d" % n for n in range(1, 401)]


def test_a_kill_goes_on_over_a_reload(broker: Broker) -> None:
    with started_worker(broker, "-v", stderr=subprocess.PIPE) as worker:
        id = script(broker, "trap '' TERM; echo ready; while :; do sleep 0.01; done")
        eventually(lambda: output(broker, id) == b"ready\n")
        Queue(broker).kill([id], grace=1.0)
        reloaded(worker)
        task = ended(broker, id)
        assert (task.status, task.exit_signal) == (states.CANCELLED, signal.SIGKILL)


def test_a_worker_told_to_end_still_ends_after_a_reload(broker: Broker, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with started_worker(broker, "-v", stderr=subprocess.PIPE) as worker:
        id = script(broker, gate_script(gate, "echo one", "echo two"))
        running(broker, id)
        worker.terminate()
        worker.send_signal(signal.SIGHUP)
        later = submit(broker, "true", cpus=0)
        gate.touch()
        assert worker.wait(10) == 0
        assert fetch(broker, id).status == states.SUCCESS
        assert fetch(broker, later).status == states.PENDING
    assert not broker.workers()


def test_the_grace_of_a_worker_told_to_end_goes_on_over_a_reload(broker: Broker) -> None:
    with started_worker(broker, "-v", "--grace", "4", stderr=subprocess.PIPE) as worker:
        id = submit(broker, "sleep", "600")
        running(broker, id)
        worker.terminate()
        reloaded(worker)
        assert worker.wait(10) == 0
        assert fetch(broker, id).status == states.PENDING


def test_a_hup_does_not_change_how_many_slots_there_are(broker: Broker) -> None:
    options = ("-v", "--slots", "1")
    with started_worker(broker, *options, stderr=subprocess.PIPE) as worker:
        eventually(broker.workers)
        worker.send_signal(signal.SIGUSR1)
        reloaded(worker)
        ids = [submit(broker, "sleep", "600", cpus=0) for _ in range(3)]
        for id in ids[:2]:
            running(broker, id)
        assert fetch(broker, ids[2]).status == states.PENDING
        Queue(broker).kill(ids, signal.SIGKILL)
        for id in ids:
            ended(broker, id)


def test_descriptors_do_not_pile_up(broker: Broker) -> None:
    def count() -> int:
        return len(os.listdir(f"/proc/{worker.pid}/fd"))

    with started_worker(broker, "-v", stderr=subprocess.PIPE) as worker:
        id = submit(broker, "sleep", "600")
        running(broker, id)
        reloaded(worker)
        ended(broker, submit(broker, "true"))
        before = count()
        for _ in range(3):
            reloaded(worker)
        ended(broker, submit(broker, "true"))
        eventually(lambda: count() <= before)
        Queue(broker).kill([id])
        ended(broker, id)


# By name

NAMED = """
import os, subprocess, sys, time
from pathlib import Path
sys.path[:0] = [{tests!r}]
from jobs import fetch, is_running, output, running, script
from support import eventually
from aque import brokers
from aque.queue import Queue

broker = brokers.from_url(sys.argv[1])
worker = subprocess.Popen([{worker!r}, "-v"], stderr=subprocess.PIPE)
queue = Queue(broker)
id = script(broker, "for i in 1 2 3; do echo line $i; sleep {pause}; done")
call = queue.submit(time.sleep, 3 * {pause})
running(broker, id), running(broker, call.id)

def named(name):
    found = subprocess.run(["pgrep", "-x", name], stdout=subprocess.PIPE).stdout
    return [int(pid) for pid in found.split()]

assert named("aque-worker") == [worker.pid], named("aque-worker")
eventually(lambda: named("aque-runner") == [fetch(broker, call.id).pid])
for line in (1, 2):
    eventually(lambda: b"line %d" % line in output(broker, id))
    subprocess.run(["killall", "-HUP", "aque-worker"], check=True)
    while b"reloaded" not in worker.stderr.readline():
        assert worker.poll() is None
    assert named("aque-worker") == [worker.pid], named("aque-worker")
    assert Path(f"/proc/{{worker.pid}}/cmdline").read_bytes().rstrip(b"\\0") == b"aque-worker"
eventually(lambda: fetch(broker, id).is_complete and call.done(), 20)
task = fetch(broker, id)
assert (task.status, task.attempt, task.exit_status) == ("success", 1, 0), task
assert output(broker, id) == b"line 1\\nline 2\\nline 3\\n"
assert call.task().status == "success" and call.task().attempt == 1
subprocess.run(["killall", "aque-worker"], check=True)
assert worker.wait(10) == 0
print("as it should be")
"""


@pytest.mark.parametrize(
    ("name", "pause"), [("bin/aque-worker", 1), (".venv/bin/aque-worker", 0.4)]
)
def test_killall_finds_the_worker_alone_and_loses_nothing(
    own_queue: str, name: str, pause: float
) -> None:
    words = in_namespace("--pid", "--fork", "--mount-proc", "--kill-child")
    for program in ("killall", "pgrep"):
        if subprocess.run(["which", program], check=False, capture_output=True).returncode:
            pytest.skip(f"no {program} here")
    worker = CHECKOUT / name
    if not worker.exists():
        pytest.skip(f"no {name} in this checkout")
    code = NAMED.format(tests=str(CHECKOUT / "tests"), worker=str(worker), pause=pause)
    with started([*words, sys.executable, "-c", code, own_queue], stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.read() == b"as it should be\n"
        assert run.wait(10) == 0


def test_each_field_of_a_job_and_of_the_guard_is_handed_over_or_made_anew(broker: Broker) -> None:
    (task,) = broker.fetch([script(broker, "true")])
    job = Job(task, 1, 0, own_session=True)
    fields = {name for name in (*vars(Job), *vars(job)) if not name.startswith("__")}
    data = {name for name in fields if not isinstance(getattr(Job, name, None), _CODE)}
    anew = {"task", "streams", "token", "measured_at", "memory_used"}
    of_its_end = {"wait_status", "usage", "drain_until", "rest"}
    assert data == {*job.state(), *anew, *of_its_end}
    handed = json.loads(json.dumps(job.state()))
    assert Job.resumed(handed, task).state() == job.state()
    guard = Guard("token")
    assert {*vars(guard)} == {*guard.state(), "token", "_is_shared", "_interval"}
