"""New code is taken over only once it has shown that it starts; what a HUP means besides."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jobs import CHECKOUT, ended, fetch, in_namespace, is_listening, output, running, script
from support import aque, eventually, started, started_worker

from aque import states
from aque.brokers.base import Broker

Popen = subprocess.Popen[bytes]


class Copy:
    """A copy of aque that a worker runs from, and that can be changed under it."""

    def __init__(self, root: Path) -> None:
        self.package = root / "aque"
        shutil.copytree(
            CHECKOUT / "aque", self.package, ignore=shutil.ignore_patterns("__pycache__")
        )
        environ = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
        self.options = {"env": environ, "cwd": str(root)}

    @contextmanager
    def worker(self, *arguments: str) -> Iterator[Popen]:
        """Start a worker of this copy that says what it does."""
        words = [sys.executable, "-m", "aque.commands.worker", "-v", *arguments]
        with started(words, stderr=subprocess.PIPE, bufsize=0, **self.options) as worker:
            yield worker

    @contextmanager
    def broken(self, name: str, text: str) -> Iterator[None]:
        path = self.package / name
        whole = path.read_text()
        path.write_text(f"{whole}\n{text}\n")
        yield
        path.write_text(whole)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def heard(worker: Popen, *parts: str) -> str:
    """Return the next line that a worker says with one of these parts in it."""
    assert worker.stderr is not None
    deadline = time.monotonic() + 30
    while select.select([worker.stderr], [], [], max(0.0, deadline - time.monotonic()))[0]:
        line = worker.stderr.readline().decode()
        assert line, f"the worker has ended and never said {parts}"
        if any(part in line for part in parts):
            return line
    raise AssertionError(f"the worker has never said {parts}")


def held(broker: Broker, gate: Path) -> int:
    """Submit a task that runs until the gate is there; return its id."""
    return script(broker, f"echo on; until [ -e {gate} ]; do sleep 0.01; done; echo off", cpus=0)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("worker/loop.py", "this is no Python", "SyntaxError: invalid syntax"),
        ("schedule/choose.py", "import nonesuch", "No module named 'nonesuch'"),
        ("commands/working.py", "import os; os.kill(os.getpid(), 9)", "status -9"),
        ("brokers/sqlite/migrations.py", "versions = None", "TypeError"),
    ],
)
def test_code_that_does_not_start_is_not_taken_over(
    broker: Broker, copy: Copy, tmp_path: Path, name: str, text: str, said: str
) -> None:
    with copy.worker() as worker:
        id = held(broker, tmp_path / "gate")
        running(broker, id)
        with copy.broken(name, text):
            worker.send_signal(signal.SIGHUP)
            line = heard(worker, "reload")
        assert "cannot reload, the old code goes on: " in line
        assert said in line
        assert ended(broker, script(broker, "true", cpus=0)).status == states.SUCCESS
        worker.send_signal(signal.SIGHUP)
        assert "reloaded, with 1 tasks running" in heard(worker, "reload")
        (tmp_path / "gate").touch()
        assert ended(broker, id).attempt == 1
        assert output(broker, id) == b"on\noff\n"


def test_a_program_that_is_gone_is_not_taken_over(
    broker: Broker, copy: Copy, tmp_path: Path
) -> None:
    program = tmp_path / "aque-worker"
    program.write_text(f"#!{sys.executable}\nfrom aque.commands.worker import main\nmain()\n")
    program.chmod(0o755)
    with started([str(program)], stderr=subprocess.PIPE, bufsize=0, **copy.options) as worker:
        eventually(broker.workers)
        program.unlink()
        worker.send_signal(signal.SIGHUP)
        assert "No such file" in heard(worker, "cannot reload")
        assert ended(broker, script(broker, "true")).status == states.SUCCESS


def test_the_worker_works_on_while_new_code_shows_that_it_starts(
    broker: Broker, copy: Copy, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    wait = f"import time, os\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)"
    with copy.worker() as worker:
        eventually(broker.workers)
        with copy.broken("commands/working.py", f"open({f'{gate}-on'!r}, 'w').close()\n{wait}"):
            worker.send_signal(signal.SIGHUP)
            eventually((tmp_path / "gate-on").exists)
        for _ in range(3):
            worker.send_signal(signal.SIGHUP)
            assert ended(broker, script(broker, "true")).status == states.SUCCESS
        gate.touch()
        assert "reloaded" in heard(worker, "reload")
        assert ended(broker, script(broker, "true")).status == states.SUCCESS


NEWER = "ALTER TABLE task ADD COLUMN mood TEXT; CREATE INDEX task_mood ON task (mood);"


def test_a_reload_upgrades_the_queue_and_workers_of_the_old_code_start_nothing_more(
    broker: Broker, copy: Copy, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with (
        started_worker(broker, "--slots", "1", stderr=subprocess.PIPE, bufsize=0) as old,
        copy.worker("--slots", "1") as new,
    ):
        eventually(lambda: len(broker.workers()) == 2)
        eventually(lambda: is_listening(old.pid))
        ids = [held(broker, gate), held(broker, gate)]
        for id in ids:
            running(broker, id)
        (copy.package / "brokers/schema/sqlite/002_mood.sql").write_text(NEWER)
        new.send_signal(signal.SIGHUP)
        heard(new, "reloaded")
        later = held(broker, gate)
        assert "a newer aque has upgraded the queue" in heard(old, "newer")
        gate.touch()
        for id in [*ids, later]:
            task = ended(broker, id)
            assert (task.status, task.attempt) == (states.SUCCESS, 1)
            assert output(broker, id) == b"on\noff\n"
        workers = {fetch(broker, id).worker for id in ids}
        assert len(workers) == 2, "each of the two is to run one"
        assert fetch(broker, later).worker == next(
            w.id for w in broker.workers() if w.pid == new.pid
        )
    failed = aque("status", status=3)
    assert "is of version 2 and this aque knows 1; upgrade this aque" in failed.stderr


def test_an_overtaken_worker_that_runs_to_the_end_ends(broker: Broker, copy: Copy) -> None:
    with started_worker(broker, "--to-end", "-c", "1", stderr=subprocess.PIPE) as old:
        id = script(broker, "sleep 0.5")
        running(broker, id)
        (copy.package / "brokers/schema/sqlite/002_mood.sql").write_text(NEWER)
        words = [sys.executable, "-m", "aque.commands.init", "--settings"]
        subprocess.run(words, **copy.options, check=True, capture_output=True)
        left = script(broker, "true")
        assert old.wait(10) == 0
        assert fetch(broker, id).status == states.SUCCESS
        assert fetch(broker, left).status == states.PENDING


ON_A_TERMINAL = """
import fcntl, os, signal, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
if sys.argv[1] == "nohup":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, "-m", "aque.commands.worker", "-v"])
"""


@contextmanager
def on_a_terminal(how: str) -> Iterator[tuple[Popen, int]]:
    """Start a worker on a terminal of its own, and yield both."""
    ours, theirs = os.openpty()
    words = [sys.executable, "-c", ON_A_TERMINAL, how]
    with started(words, stdin=theirs, stderr=subprocess.PIPE, bufsize=0, cwd=CHECKOUT) as worker:
        os.close(theirs)
        try:
            yield worker, ours
        finally:
            try:
                os.close(ours)
            except OSError:
                pass  # closed by the test


def test_a_terminal_that_closes_ends_its_worker_once_what_runs_has_ended(
    broker: Broker, tmp_path: Path
) -> None:
    with on_a_terminal("plain") as (worker, terminal):
        id = held(broker, tmp_path / "gate")
        running(broker, id)
        worker.send_signal(signal.SIGHUP)
        assert "reloaded" in heard(worker, "reloaded", "has gone")
        os.close(terminal)
        assert "the terminal has gone; 1 tasks" in heard(worker, "reloaded", "has gone")
        later = script(broker, "true", cpus=0)
        (tmp_path / "gate").touch()
        assert worker.wait(10) == 0
        assert fetch(broker, id).status == states.SUCCESS
        assert fetch(broker, later).status == states.PENDING


def test_under_nohup_a_worker_outlives_its_terminal(broker: Broker) -> None:
    with on_a_terminal("nohup") as (worker, terminal):
        eventually(broker.workers)
        os.close(terminal)
        worker.send_signal(signal.SIGHUP)
        heard(worker, "reloaded")
        assert ended(broker, script(broker, "true")).status == states.SUCCESS


HURRIED = """
import os, subprocess, sys
from glob import glob
sys.path[:0] = [sys.argv[2]]
from support import eventually
from aque import brokers
from aque.queue import Queue

broker = brokers.from_url(sys.argv[1])
said = open(sys.argv[4], "w")
worker = subprocess.Popen([sys.argv[3], "-v", "-c", "2"], stderr=said)
eventually(broker.workers)
queue = Queue(broker)
text = "set -C; : > $RAN/$AQUE_TID-$AQUE_ATTEMPT; sleep 0.01; echo $AQUE_TID"
environ = {"PATH": os.environ["PATH"], "RAN": sys.argv[5]}
futures = queue.submit_many(
    {"pattern": "shell", "args": ["sh", "-c", text], "environ": environ, "cpus": 0.5}
    for _ in range(600)
)
hups = 0
while hups < 300 or not all(f.done() for f in (futures[0], futures[-1])):
    done = subprocess.run(["killall", "-HUP", "aque-worker"])
    hups += 1
    assert worker.poll() is None
    assert done.returncode == 0, [open(name).read() for name in glob("/proc/[0-9]*/comm")]
eventually(lambda: all(future.done() for future in futures), 30)
subprocess.run(["killall", "aque-worker"], check=True)
assert worker.wait(20) == 0
print(hups)
"""


def test_under_hundreds_of_hups_every_short_job_runs_once(
    broker: Broker, own_queue: str, tmp_path: Path
) -> None:
    words = in_namespace("--pid", "--fork", "--mount-proc", "--kill-child")
    program = Path(sys.executable).with_name("aque-worker")
    if shutil.which("killall") is None or not program.exists():
        pytest.skip("no killall, or aque-worker is not installed here")
    ran, said = tmp_path / "ran", tmp_path / "said"
    ran.mkdir()
    places = [own_queue, str(CHECKOUT / "tests"), str(program), str(said), str(ran)]
    words += [sys.executable, "-c", HURRIED, *places]
    with started(words, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert int(run.stdout.read()) >= 300, said.read_text()
        assert run.wait(10) == 0
    tasks = broker.search()
    assert len(tasks) == 600
    for task in tasks:
        assert (task.status, task.attempt) == (states.SUCCESS, 1), task
        assert output(broker, task.id) == f"{task.id}\n".encode()
    assert {path.name for path in ran.iterdir()} == {f"{task.id}-1" for task in tasks}


def test_with_reload_a_change_of_the_code_is_as_good_as_a_hup(
    broker: Broker, copy: Copy, tmp_path: Path
) -> None:
    aque("init", "--set", "poll=0.05")
    with copy.worker("--reload") as worker:
        id = held(broker, tmp_path / "gate")
        running(broker, id)
        with copy.broken("worker/loop.py", "import nonesuch"):
            assert "the code has changed" in heard(worker, "code")
            assert "No module named 'nonesuch'" in heard(worker, "code")
        heard(worker, "has changed")
        assert "reloaded, with 1 tasks" in heard(worker, "reload")
        (copy.package / "worker/more.py").write_text("")
        heard(worker, "has changed")
        heard(worker, "reloaded")
        (tmp_path / "gate").touch()
        assert ended(broker, id).attempt == 1
        assert output(broker, id) == b"on\noff\n"


def test_without_reload_a_change_of_the_code_waits_for_a_hup(broker: Broker, copy: Copy) -> None:
    aque("init", "--set", "poll=0.02")
    with copy.worker() as worker:
        eventually(broker.workers)
        (copy.package / "worker/more.py").write_text("")
        assert ended(broker, script(broker, "sleep 0.3")).status == states.SUCCESS
        worker.send_signal(signal.SIGHUP)
        assert "reloaded" in heard(worker, "changed", "reloaded,")
