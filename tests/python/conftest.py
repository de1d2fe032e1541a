"""Tests of the Python side: a worker runs beside each, and finds called.py by its name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import started_worker

from aque.brokers.base import Broker
from aque.queue import Queue

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def called_in_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have sys.path[0], which goes with each task, be where called.py is."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.fixture
def queue(broker: Broker) -> Queue:
    return Queue(broker)


@pytest.fixture
def worker(broker: Broker) -> Iterator[subprocess.Popen[bytes]]:
    with started_worker(broker) as process:
        yield process
