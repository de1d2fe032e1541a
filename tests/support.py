"""What tests are built of: waiting with a deadline, records, and real processes.

Nothing here knows how a broker or a worker works inside.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, TypeVar

from aque import location, states, task, trust
from aque.brokers.base import Broker
from aque.brokers.claims import Candidate, Choose, Offer
from aque.prototype import Prototype
from aque.report import End, WorkerRecord
from aque.requirements import Requirements
from aque.task import Task

T = TypeVar("T")


def eventually(condition: Callable[[], T], timeout: float = 30.0) -> T:
    """Wait until `condition()` is true, and return what it returned.

    A condition may assert too. After `timeout` seconds the failure says what it saw last.
    """
    deadline = time.monotonic() + timeout
    pause = 0.002
    while True:
        seen: Any
        try:
            seen = condition()
            if seen:
                return seen
        except AssertionError as error:
            seen = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not so after {timeout:g} s; last seen: {seen!r}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


# Records


def requirements(**fields: Any) -> Requirements:
    return Requirements(**{"user": trust.user_name(), **fields})


def prototype(**fields: Any) -> Prototype:
    """Return a shell task's prototype, with requirements of its own."""
    defaults = {"pattern": "shell", "args": '["true"]', "requirements": requirements()}
    return Prototype(**{**defaults, **fields})


def group(**fields: Any) -> Prototype:
    return prototype(**{"pattern": None, "args": None, **fields})


def child(parent: task.Reference, **fields: Any) -> Prototype:
    """Return the prototype of a child that says nothing it could take over from its parent."""
    return prototype(**{"parent": parent, "requirements": None, **fields})


def enlist(broker: Broker, **fields: Any) -> int:
    """Enlist a worker that has no process, and return its id."""
    defaults = {
        "id": 0, "token": os.urandom(16).hex(), "kind": "worker", "name": "tester",
        "host": "here", "boot": "b", "pid_namespace": "n", "pid": os.getpid(),
        "pid_started": 1, "user": trust.user_name(), "cpus": 4.0, "memory": 1 << 30, "slots": 4,
        "started_at": 1.0,
    }  # fmt: skip
    return broker.enlist(WorkerRecord(**{**defaults, **fields}))


# Running, by a broker alone


def take(count: int) -> Choose:
    """Choose the best `count` tasks, whatever they need."""

    def choose(offer: Offer) -> Sequence[int]:
        heads = [head for kind in offer.kinds for head in offer.heads(kind, count)]
        return [head.id for head in sorted(heads, key=_order)[:count]]

    return choose


def take_ids(*ids: int) -> Choose:
    """Choose these tasks, of those that are offered."""

    def choose(offer: Offer) -> Sequence[int]:
        heads = [head.id for kind in offer.kinds for head in offer.heads(kind, 1_000_000)]
        return [id for id in ids if id in heads]

    return choose


def _order(candidate: Candidate) -> tuple[int, float, int]:
    return (-candidate.priority, -candidate.duration, candidate.id)


def claim(broker: Broker, worker: int, count: int = 1) -> list[Task]:
    return list(broker.claim(worker, take(count)).tasks)


def claimable(broker: Broker, worker: int) -> list[int]:
    """Return the ids a claim could take now, best first; none is taken."""
    offered: list[int] = []

    def choose(offer: Offer) -> Sequence[int]:
        offered.extend(take(1_000_000)(offer))
        return []

    broker.claim(worker, choose)
    return offered


def end(of: Task, status: str = states.SUCCESS, **fields: Any) -> End:
    defaults = {"ended_at": time.time(), "exit_status": 0 if status == states.SUCCESS else 1}
    return End(id=of.id, attempt=of.attempt, status=status, **{**defaults, **fields})


def run(broker: Broker, worker: int, id: int, status: str = states.SUCCESS, **fields: Any) -> Task:
    """Claim this task and end it so; return it as it was claimed."""
    (claimed,) = broker.claim(worker, take_ids(id)).tasks
    assert broker.finish([end(claimed, status, **fields)]) == [True]
    return claimed


def status(broker: Broker, id: int) -> str:
    return broker.fetch([id])[0].status


def recount_uses(broker: Broker) -> None:
    """See that rows which tasks of a SQLite queue share are counted right, and go with the last.

    By SQLite in this process: another library's open file would drop its locks when it is closed.
    """
    path = location.parse(broker.to_url())[0]
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        for table in ("environment", "requirements"):
            query = f"SELECT {table}, count(*) FROM task WHERE {table} IS NOT NULL GROUP BY 1"
            uses = f"SELECT id, count FROM uses WHERE kind = '{table}'"
            stored = {id for (id,) in connection.execute(f"SELECT id FROM {table}").fetchall()}
            counted = dict(connection.execute(query).fetchall())
            assert dict(connection.execute(uses).fetchall()) == counted, table
            assert stored == counted.keys(), table


# Processes


def aque(
    command: str, *arguments: str, status: int | None = 0, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; it must end with `status`, unless that is None."""
    words = [sys.executable, "-m", f"aque.commands.{command}", *arguments]
    options = {"capture_output": True, "text": True, "timeout": 60, **options}
    done = subprocess.run(words, check=False, **options)
    if status is not None:
        assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
    return done


def python(
    code: str, *arguments: str, status: int | None = 0, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a program in a Python of its own; it must end with `status`, unless that is None."""
    options = {"capture_output": True, "text": True, "timeout": 60, **options}
    words = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(words, check=False, **options)
    if status is not None:
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done


@contextmanager
def started(words: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process, and see that it has ended in the end."""
    process = subprocess.Popen(words, **options)
    try:
        yield process
    finally:
        for number in (signal.SIGQUIT, signal.SIGKILL):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(number)
            try:
                process.wait(10)
                break
            except subprocess.TimeoutExpired:
                continue
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


@contextmanager
def started_python(code: str, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program in a Python of its own; its standard output is a pipe."""
    words = [sys.executable, "-c", code, *arguments]
    with started(words, stdout=subprocess.PIPE, **options) as process:
        yield process


@contextmanager
def started_worker(
    broker: Broker | str, *arguments: str, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Start an aque-worker on a queue; by default it runs until the end of the block."""
    url = broker if isinstance(broker, str) else broker.to_url()
    words = [sys.executable, "-m", "aque.commands.worker", "--broker", url, *arguments]
    with started(words, **options) as process:
        yield process
