"""Own what the tests of a run of aque-xargs share: starting one, and looking at its tasks."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support import started
from xargs import pair

from aque.brokers.base import Broker
from aque.task import Task


def run(*argv: str, data: bytes = b"", **options: Any) -> pair.Outcome:
    """Run ours; what it says on standard error names it `xargs`."""
    return pair.run_ours(argv, data, **options)


@contextmanager
def start(
    *argv: str, data: bytes = b"", is_open: bool = False, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Start ours with this input, `is_open` if more may come, and see that it ends."""
    pipe = subprocess.PIPE
    options = {"stdout": pipe, "stderr": pipe, "env": pair.environ(), **options}
    with started([*pair.OURS, *argv], stdin=pipe, **options) as process:
        assert process.stdin is not None
        process.stdin.write(data)
        process.stdin.flush() if is_open else process.stdin.close()
        yield process


def group(broker: Broker) -> Task:
    """Return the group of the only run."""
    found, _ = broker.roots(0.0, None, None)
    assert len(found) == 1
    return found[0]


def children(broker: Broker) -> list[Task]:
    return broker.children(group(broker).id, 10_000)


def statuses(broker: Broker) -> list[str]:
    return [task.status for task in children(broker)]
