"""What is taken away under a running worker: places, files, its queue. Nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from jobs import ended, fetch, in_namespace, one_line, output, running, script, submit, work
from support import aque, eventually, started_worker

from aque import states
from aque.brokers.base import Broker
from aque.errors import BrokerError


def waits_for(gate: Path, *after: str) -> str:
    return "; ".join([f"echo begin; until [ -e {gate} ]; do sleep 0.02; done", *after])


# A reload


def was_reloaded(pid: int) -> bool:
    return b"\0AQUE_RELOAD=" in Path(f"/proc/{pid}/environ").read_bytes()


def test_a_worker_is_not_reloaded_while_its_queue_cannot_be_opened(
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
        assert worker.stderr is not None
        while b"cannot reload, the old code goes on" not in (line := worker.stderr.readline()):
            assert line, "the worker has ended"
        lock.rmdir()
        (tmp_path / "lock").rename(lock)
        gate.touch()
        task = ended(broker, id)
        assert (task.exit_status, task.attempt) == (7, 1)
        assert output(broker, id) == b"begin\nend\n"


def test_what_runs_is_kept_while_the_new_program_cannot_open_the_queue(
    broker: Broker, own_queue: str, tmp_path: Path
) -> None:
    """The exec is seen from outside, and the queue taken away before Python has even started."""
    gate, lock = tmp_path / "gate", Path(own_queue + "-lock")
    with started_worker(broker, "-v", stderr=subprocess.PIPE) as worker:
        assert worker.stderr is not None
        id = script(broker, waits_for(gate, "echo end; exit 7"))
        running(broker, id)
        for _ in range(10):
            before = program_of(worker.pid)
            worker.send_signal(signal.SIGHUP)
            while program_of(worker.pid) == before:
                pass
            lock.rename(tmp_path / "lock")
            lock.mkdir()
            while not (told := said(worker.stderr.readline(), b"trying again", b"reloaded")):
                pass
            lock.rmdir()
            (tmp_path / "lock").rename(lock)
            if told == b"trying again":
                break  # else it was quicker than we
        assert told == b"trying again"
        gate.touch()
        task = ended(broker, id)
        assert (task.exit_status, task.attempt) == (7, 1)
        assert output(broker, id) == b"begin\nend\n"


def program_of(pid: int) -> bytes:
    """Return what an exec changes: where the kernel put the random bytes, among others."""
    return Path(f"/proc/{pid}/auxv").read_bytes()


def said(line: bytes, *texts: bytes) -> bytes | None:
    assert line, "the worker has ended"
    return next((text for text in texts if text in line), None)


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


def test_a_queue_that_is_moved_away_is_missed_and_goes_on_when_it_is_back(
    broker: Broker, own_queue: str, tmp_path: Path
) -> None:
    gate, away = tmp_path / "gate", tmp_path / "away"
    with started_worker(broker, stderr=subprocess.PIPE) as worker:
        assert worker.stderr is not None
        id = script(broker, waits_for(gate, "exit 7"))
        running(broker, id)
        os.rename(own_queue, away)
        assert b"put it back" in worker.stderr.readline()
        with pytest.raises(BrokerError, match="moved, removed or replaced"):
            broker.search()
        gate.touch()
        eventually(lambda: not at_work(worker))  # its end cannot be recorded yet
        os.rename(away, own_queue)
        task = ended(broker, id)
        assert (task.exit_status, task.attempt) == (7, 1)


def test_who_is_awaited_waits_for_no_queue_that_has_gone(
    broker: Broker, own_queue: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    running_id = script(broker, waits_for(gate))
    with started_worker(broker, "--to-end", stderr=subprocess.DEVNULL) as worker:
        running(broker, running_id)
        os.rename(own_queue, tmp_path / "away")
        gate.touch()
        assert worker.wait(30) == 3


def at_work(worker: subprocess.Popen[bytes]) -> list[psutil.Process]:
    children = psutil.Process(worker.pid).children()
    return [child for child in children if child.name() != "aque-guard"]


def test_a_worker_of_a_queue_that_was_replaced_ends(broker: Broker, own_queue: str) -> None:
    with started_worker(broker, stderr=subprocess.PIPE) as worker:
        eventually(broker.workers)
        for suffix in ("", "-wal", "-shm", "-lock"):
            os.unlink(own_queue + suffix)
        assert aque("submit", "true").stdout == "1\n"  # it is another queue
        assert worker.wait(30) == 3
        assert worker.stderr is not None
        one_line(worker.stderr.read().decode(), "put it back, or start anew")


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

    job = Job(Task(1, states.RUNNING, timeout=10.0, started_at=9e9), 1, 1, True)
    job.started = 100.0
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


# A full disk

FULL = """
set -e
mount -t tmpfs -o size=16M tmpfs "$1"
export AQUE_BROKER=$1/queue.db
aque() { name=$1; shift; "$python" -m aque.commands.$name "$@"; }
python=$2; out=$3
aque init > "$out/init"
mkfifo "$out/items"
aque xargs -n1 -P2 echo ran < "$out/items" > "$out/ran" 2> "$out/said" &
exec 3> "$out/items"
echo 1 2 3 >&3
until [ $(wc -l < "$out/ran") = 3 ]; do sleep 0.02; done
dd if=/dev/zero of="$1/filler" bs=4k 2> /dev/null || true
echo 4 5 6 >&3
until grep -q "trying again" "$out/said"; do sleep 0.02; done
status=0; aque submit true 2> "$out/submit" || status=$?; echo "submit $status"
status=0; aque kill 1 2> "$out/kill" || status=$?; echo "kill $status"
status=0; echo 7 | aque xargs echo private 2> "$out/private" || status=$?; echo "xargs $status"
rm "$1/filler"
exec 3>&-
status=0; wait $! || status=$?; echo "first $status"
aque status --format "{status}" 1
"$python" -c "if True:
    import sqlite3, sys
    print(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchall())
" "$AQUE_BROKER"
"""


def test_xargs_and_submit_on_a_disk_that_is_full_for_a_while(tmp_path: Path) -> None:
    place, out = tmp_path / "place", tmp_path / "out"
    place.mkdir()
    out.mkdir()
    words = [*in_namespace("--mount"), "bash", "-c", FULL, "bash", str(place), sys.executable]
    done = subprocess.run(
        [*words, str(out)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert done.stdout == "submit 3\nkill 3\nprivate 7\nxargs 0\nfirst 0\nsuccess\n[('ok',)]\n"
    assert sorted((out / "ran").read_text().split()) == ["1", "2", "3", "4", "5", "6", *["ran"] * 6]
    for said in ("said", "submit", "kill", "private"):
        one_line((out / said).read_text(), "no room left to write to", str(place))


SHM_FULL = """
set -e
mount -t tmpfs -o size=64k tmpfs /dev/shm
dd if=/dev/zero of=/dev/shm/filler bs=1k 2> /dev/null || true
echo a b | AQUE_BROKER=/proc/none/queue.db TMPDIR=$2 "$1" -m aque.commands.xargs -n1 echo
ls -A "$2" | wc -l; ls /dev/shm
"""


def test_xargs_finds_a_private_place_where_there_is_no_memory_for_it(tmp_path: Path) -> None:
    words = [*in_namespace("--mount"), "bash", "-c", SHM_FULL, "bash", sys.executable]
    (tmp_path / "tmp").mkdir()
    done = subprocess.run(
        [*words, str(tmp_path / "tmp")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "a\nb\n0\nfiller\n"), done.stderr
    one_line(done.stderr, "aque-xargs: warning: ", "nothing of this run will be kept")
