"""Python calls of other users under root's worker: whose they are, what they see, how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from jobs import CHECKOUT, ended, fetch, is_alive, output, read_pid, running
from support import aque, eventually, started
from users import ALICE, BOB, USERS, words_as

from aque import states
from aque.brokers.base import Broker

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")

#: What is called, in a directory that all can read; and what submits it, as root.
CALLS = """
import os, subprocess, sys, time
def uid(number):
    print(number, os.getuid())
    return [number, os.getuid()]
def who():
    names = {key: os.environ.get(key) for key in ("USER", "HOME", "KIND", "AQUE_BROKER")}
    umask = os.umask(0)
    os.umask(umask)
    return [os.getresuid(), os.getresgid(), sorted(os.getgroups()), os.getcwd(), umask, names]
def fail():
    print("said before", flush=True)
    open("/etc/shadow")
def wait(gate):
    print("begun", flush=True)
    while not os.path.exists(gate):
        time.sleep(0.01)
    return os.getpid()
def linger(path):
    child = subprocess.Popen(["sleep", "600"])
    with open(path, "w") as file:
        file.write(f"{child.pid}\\n")
    time.sleep(600)
"""
SUBMIT = """
import json, os, sys
import calls
from aque import Queue
os.umask(0o027)
asked = [{"func": getattr(calls, name), "args": args, "user": user, "cwd": "/tmp"}
         for user, name, *args in json.loads(sys.argv[1])]
print(*[future.id for future in Queue().submit_many(asked)])
"""
Call = Sequence[object]


def environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(CHECKOUT), "KIND": "café"}


def submit(place: Path, *calls: Call) -> list[int]:
    (place / "calls.py").write_text(CALLS)
    (place / "submit.py").write_text(SUBMIT)
    words = words_as("root", sys.executable, f"{place}/submit.py", json.dumps(calls))
    done = subprocess.run(
        words, env=environ(), check=True, capture_output=True, text=True, cwd="/", timeout=60
    )
    return [int(word) for word in done.stdout.split()]


@contextmanager
def started_root_worker(broker: Broker) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-m", "aque.commands.worker", "--broker", broker.to_url(), "-v"]
    with started(
        words_as("root", *words), env=environ(), cwd="/", stderr=subprocess.PIPE
    ) as worker:
        yield worker


def test_short_calls_of_several_users_are_never_mixed(broker: Broker, open_place: Path) -> None:
    """They are sent ahead, many at a time, each to a runner of its user."""
    users = [ALICE, ALICE, BOB, "root", BOB] * 12
    calls = [(user, "uid", number) for number, user in enumerate(users)]
    ids = submit(open_place, *calls)
    with started_root_worker(broker):
        for id, (user, _, number) in zip(ids, calls):
            told = [number, USERS[user]]
            task = ended(broker, id)
            assert (task.status, json.loads(task.result or "")) == (states.SUCCESS, told)
            assert output(broker, id) == f"{number} {USERS[user]}\n".encode()


def test_a_call_has_its_users_identity_and_nothing_of_roots(
    broker: Broker, open_place: Path
) -> None:
    ids = submit(open_place, (ALICE, "who"), (ALICE, "fail"))
    with started_root_worker(broker):
        whole, failed = (ended(broker, id) for id in ids)
    uid = USERS[ALICE]
    names = {"USER": ALICE, "HOME": "/tmp", "KIND": "café", "AQUE_BROKER": None}
    *identity, told = json.loads(whole.result or "")
    assert [one.get("$tuple", one) if isinstance(one, dict) else one for one in identity] == [
        [uid] * 3, [uid] * 3, [61001, 61010, 61011], "/tmp", 0o027
    ]  # fmt: skip
    assert told == names
    assert failed.status == states.ERROR
    assert output(broker, failed.id) == b"said before\n"
    assert b"PermissionError" in output(broker, failed.id, "stderr")


def test_a_call_is_killed_with_what_it_started_and_the_next_has_a_new_runner(
    broker: Broker, open_place: Path
) -> None:
    (id,) = submit(open_place, (ALICE, "linger", f"{open_place}/child"))
    with started_root_worker(broker):
        child = read_pid(open_place / "child")
        runner = running(broker, id).pid
        assert runner is not None
        assert psutil.Process(runner).uids().real == USERS[ALICE]
        aque("kill", str(id))
        assert fetch(broker, id).status == states.CANCELLED
        eventually(lambda: not is_alive(child) and not is_alive(runner))
        (next_id,) = submit(open_place, (ALICE, "uid", 1))
        assert ended(broker, next_id).status == states.SUCCESS


def test_a_call_goes_on_over_a_reload_of_the_worker(broker: Broker, open_place: Path) -> None:
    gate = open_place / "gate"
    (id,) = submit(open_place, (ALICE, "wait", str(gate)))
    with started_root_worker(broker) as worker:
        runner = running(broker, id).pid
        eventually(lambda: output(broker, id) == b"begun\n")
        worker.send_signal(signal.SIGHUP)
        assert worker.stderr is not None
        assert any(b"reloaded" in line for line in worker.stderr)
        gate.touch()
        task = ended(broker, id)
        assert (task.status, task.attempt, task.result) == (states.SUCCESS, 1, str(runner))
        (next_id,) = submit(open_place, (ALICE, "uid", 1))
        assert json.loads(ended(broker, next_id).result or "") == [1, USERS[ALICE]]
