"""aque-init: the queue itself, and its settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from jobs import is_alive, one_line, running, script, submit, work
from support import aque, started_worker

from aque.brokers.base import Broker


def test_a_queue_is_made_where_it_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "queue.db"
    assert aque("init", "--broker", str(path)).stdout == f"sqlite://{path}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert aque("init", "--broker", f"sqlite://{path}").stdout == f"sqlite://{path}\n"


def test_the_own_queue_needs_no_init(own_queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AQUE_BROKER")
    assert not os.path.exists(own_queue)
    assert aque("submit", "true").stdout == "1\n"
    assert os.stat(own_queue).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(own_queue)).st_mode & 0o777 == 0o700


def test_settings_are_changed_and_listed(broker: Broker) -> None:
    words = ["--set", "poll=0.2", "--set", "keep-success=1d2h", "--set", "output-limit=1.5M"]
    assert aque("init", *words).stdout == ""
    settings = broker.settings()
    assert (settings["poll"], settings["keep-success"]) == (0.2, 26 * 3600)
    assert settings["output-limit"] == 3 << 19
    assert "poll=0.2\n" in aque("init", "--settings").stdout


@pytest.mark.parametrize("change", ["pole=1", "poll", "poll=soon", "poll=0", "output-limit=1X"])
def test_a_setting_that_makes_no_sense_changes_none(broker: Broker, change: str) -> None:
    done = aque("init", "--set", "grace=9", "--set", change, status=2)
    one_line(done.stderr, "aque-init: ")
    assert broker.settings()["grace"] == 5


def test_a_reset_forgets_all_but_never_while_a_worker_runs(broker: Broker) -> None:
    id = script(broker, "echo hello")
    work(broker)
    with started_worker(broker) as worker:
        sleeper = submit(broker, "sleep", "600")
        pid = running(broker, sleeper).pid
        one_line(aque("init", "--reset", status=1).stderr, "workers are running")
        worker.kill()
        worker.wait()
    aque("init", "--reset")  # the dead worker stands in nobody's way
    assert pid is not None
    assert not is_alive(pid)
    assert broker.existing(0, 100) == []
    assert submit(broker, "true") > sleeper > id
