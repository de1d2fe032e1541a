"""What tests of real workers say often: submit a command, see it run, end, and what it wrote."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from support import aque, eventually

from aque import states
from aque.brokers.base import Broker
from aque.location import parse
from aque.queue import Queue
from aque.task import Task

CHECKOUT = Path(__file__).resolve().parent.parent


def submit(broker: Broker, *words: str, **fields: Any) -> int:
    """Submit a command, as aque-submit does; return its id."""
    return Queue(broker).submit_ex(pattern="shell", args=words, **fields).id


def script(broker: Broker, text: str, **fields: Any) -> int:
    """Submit a script for /bin/sh; return its id."""
    return submit(broker, text, kwargs={"shell": True}, **fields)


def fetch(broker: Broker, id: int) -> Task:
    return broker.fetch([id])[0]


def is_running(broker: Broker, id: int) -> bool:
    """Whether it runs, and the queue knows in which process."""
    task = fetch(broker, id)
    return task.status == states.RUNNING and task.pid is not None


def running(broker: Broker, id: int) -> Task:
    """Wait until a task runs; return it as it is then."""
    eventually(lambda: is_running(broker, id))
    return fetch(broker, id)


def ended(broker: Broker, id: int, timeout: float = 40) -> Task:
    """Wait until a task has ended; return it."""
    eventually(lambda: fetch(broker, id).is_complete, timeout)
    return fetch(broker, id)


def output(broker: Broker, id: int, stream: str = "stdout", attempt: int | None = None) -> bytes:
    """Return what is stored of a stream in the queue itself."""
    wanted = fetch(broker, id).attempt if attempt is None else attempt
    chunks = [c for c in broker.output(id, wanted) if c.stream == stream and c.data is not None]
    assert [c.offset for c in chunks] == [
        sum(len(c.data or b"") for c in chunks[:n]) for n in range(len(chunks))
    ]
    return b"".join(chunk.data or b"" for chunk in chunks)


def work(broker: Broker | str, *arguments: str, **options: Any) -> str:
    """Run a worker until nothing is left to run; return what it said."""
    url = broker if isinstance(broker, str) else broker.to_url()
    return aque("worker", "--broker", url, "--to-end", *arguments, **options).stderr


def attempts(broker: Broker, id: int) -> list[dict[str, Any]]:
    """Return the attempts before the present one, oldest first."""
    path, _ = parse(broker.to_url())
    connection = sqlite3.connect(path)
    try:
        connection.row_factory = sqlite3.Row
        rows = connection.execute("SELECT * FROM attempt WHERE task = ? ORDER BY attempt", (id,))
        return [dict(row) for row in rows.fetchall()]
    finally:
        connection.close()


# Processes


def is_alive(pid: int) -> bool:
    """Whether this process runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def guard_of(worker: int) -> int:
    """Wait until a worker has a guard that has begun; return its pid."""

    def guards() -> list[int]:
        children = psutil.Process(worker).children()
        return [child.pid for child in children if child.name() == "aque-guard"]

    return eventually(guards)[0]


def kill_unguarded(worker: subprocess.Popen[bytes]) -> None:
    """Kill a worker and its guard by -9, so that what the worker ran is left."""
    guard = guard_of(worker.pid)
    os.kill(guard, signal.SIGSTOP)
    worker.kill()
    worker.wait()
    os.kill(guard, signal.SIGKILL)


def is_listening(pid: int) -> bool:
    """Whether a process hears a bell, and so waits in its loop."""
    links = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.append(os.readlink(descriptor))
        except OSError:
            continue
    return any("inotify" in link for link in links)


def read_pid(path: Path) -> int:
    """Wait until a job has written its pid there; return that."""
    eventually(lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())


# Places


def checkpointed_size(path: str) -> int:
    """Return the bytes of a queue's file once all of its log is in it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return os.path.getsize(path)


def in_namespace(*options: str) -> list[str]:
    """Return the words that run a command in new namespaces; skip where the system refuses."""
    words = ["unshare", *options]
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here")
    if subprocess.run([*words, "true"], check=False, capture_output=True).returncode:
        pytest.skip("the system refuses namespaces")
    return words


def run_script(path: Path, text: str, *arguments: str, **options: Any) -> Any:
    """Write a Python script and run it by its path."""
    path.write_text(text)
    options = {"capture_output": True, "text": True, "timeout": 60, **options}
    return subprocess.run([sys.executable, str(path), *arguments], check=False, **options)


def one_line(text: str, *parts: str) -> None:
    """See that a complaint is one line, no traceback, and says all this."""
    assert text.count("\n") == 1, text
    assert text.endswith("\n"), text
    assert "Traceback" not in text
    for part in parts:
        assert part in text, (part, text)
