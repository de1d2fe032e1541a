"""Own where a benchmark happens: a queue in a directory that goes, and processes that end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from aque import Queue, brokers


def command(name: str) -> str:
    """Return the path of a command as bin/setup installed it."""
    return os.path.join(os.path.dirname(sys.executable), name)


@contextmanager
def own_directory() -> Iterator[str]:
    with TemporaryDirectory(prefix="aque-bench-") as directory:
        yield directory


@contextmanager
def own_queue(durable: bool = True) -> Iterator[Queue]:
    """Make a queue, the default one of what is started meanwhile, too."""
    with own_directory() as directory:
        path = os.path.join(directory, "queue.db")
        os.environ["AQUE_BROKER"] = path
        queue = Queue(brokers.from_url(path, durable=durable))
        try:
            yield queue
        finally:
            queue.broker.close()
            del os.environ["AQUE_BROKER"]


@contextmanager
def started(words: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process meanwhile, and end it: by QUIT, on which workers end, or by KILL."""
    process = subprocess.Popen(words)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGQUIT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def started_worker(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run an aque-worker on the own queue meanwhile."""
    with started([command("aque-worker"), "--quiet", *arguments]) as process:
        yield process
