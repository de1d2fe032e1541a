"""Patterns and brokers of other packages, found by their entry points."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from jobs import work
from support import python

from aque import errors
from aque.brokers.base import Broker
from aque.queue import Queue

POINTS = """
[aque.patterns]
twice = plugin:twice
broken = plugin:gone

[aque.brokers]
elsewhere = plugin:open_broker
"""
MODULE = """
import threading
import aque
from aque import brokers

def twice(call):
    "Call the function twice, and say who asks, from a thread too."
    seen = []
    def ask():
        seen.append(aque.current_task().id)
        seen.append(aque.current_broker().to_url())
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return [call.func(*call.args, **call.kwargs) for _ in range(2)], call.id, seen

def open_broker(url, durable, create):
    return brokers.from_url(url.partition("://")[2], durable=durable, create=create)
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package with a pattern and a broker, where calls import from."""
    place = tmp_path / "installed"
    info = place / "plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    (place / "plugin.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(place))
    return place


@pytest.mark.usefixtures("plugin")
def test_a_pattern_of_another_package_runs_the_task(queue: Queue, broker: Broker) -> None:
    future = queue.submit_ex(func=max, args=[1, 2], pattern="twice")
    work(broker)
    assert future.result(20) == ([2, 2], future.id, [future.id, broker.to_url()])


@pytest.mark.usefixtures("plugin")
def test_a_pattern_that_nobody_has_or_that_is_broken_fails_its_task(
    queue: Queue, broker: Broker
) -> None:
    missing = queue.submit_ex(func=max, args=[1, 2], pattern="thrice")
    broken = queue.submit_ex(func=max, args=[1, 2], pattern="broken")
    work(broker)
    with pytest.raises(errors.UsageError, match="no pattern 'thrice'"):
        missing.result(20)
    with pytest.raises(AttributeError, match="gone"):
        broken.result(20)


def test_a_broker_of_another_package_is_found_by_its_scheme(plugin: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import aque\n"
        "print(aque.Queue('elsewhere://' + sys.argv[2]).broker.to_url())"
    )
    shown = python(code, str(plugin), str(tmp_path / "q.db")).stdout
    assert shown == f"sqlite://{tmp_path / 'q.db'}\n"
    with pytest.raises(errors.UsageError, match="no broker for nowhere://"):
        Queue("nowhere://x")
    assert "plugin" not in sys.modules
