"""aque-init: the queue itself, and its settings."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
from pathlib import Path

import pytest
from jobs import is_alive, one_line, running, script, submit, work
from support import aque, enlist, started_worker

from aque import brokers
from aque.brokers.base import Broker
from aque.commands import init
from aque.errors import BrokerError


def test_a_queue_is_made_where_it_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    assert aque("init", "--broker", str(path)).stdout == f"sqlite://{path}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert aque("init", "--broker", f"sqlite://{path}").stdout == f"sqlite://{path}\n"


@pytest.mark.parametrize(
    "words", [["init"], ["init", "--group", "root"], ["submit", "true"], ["worker", "--to-end"]]
)
def test_a_directory_that_is_not_there_is_not_made(tmp_path: Path, words: list[str]) -> None:
    path = tmp_path / "deep" / "er" / "queue.db"
    said = aque(words[0], "--broker", str(path), *words[1:], status=3).stderr
    one_line(said, f"there is no directory {tmp_path}/deep", "mkdir -p")
    assert list(tmp_path.glob("deep")) == []


def test_the_own_queue_needs_no_init_to_submit_and_only_looking_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AQUE_BROKER")
    own = tmp_path / "state" / "aque" / "queue.db"
    said = f"there is no queue yet at {own}; aque-submit echo hello makes it"
    for words in (["status"], ["wait", "all"], ["limit", "nuke=1"]):
        one_line(aque(*words, status=3).stderr, said)
    assert f"there is none yet at {own}" in aque("doctor").stdout
    assert not own.parent.exists()
    assert aque("submit", "true").stdout == "1\n"
    assert own.stat().st_mode & 0o777 == 0o600
    assert own.parent.stat().st_mode & 0o777 == 0o700


def test_a_person_is_told_that_a_queue_was_made(broker: Broker, tmp_path: Path) -> None:
    mine, theirs = pty.openpty()
    for name in ("own/qeue.db", "own/qeue.db", "own/queue.db"):
        words = ["--broker", str(tmp_path / name), "true"]
        aque("submit", *words, capture_output=False, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    said = os.read(mine, 4096).decode()
    os.close(mine)
    assert said.split() == [
        *"aque-submit: made a new queue,".split(),
        f"sqlite://{tmp_path}/own/qeue.db",
    ]


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


def test_none_is_made_for_several_hosts_where_locks_do_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = init.init.callback
    assert make is not None
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    for journal in ("delete", "wal"):
        url = f"sqlite://{tmp_path}/{journal}.db?journal={journal}"
        words = (url, False, (), None, None, None, False)
        if journal == "delete":
            with pytest.raises(BrokerError, match="keep the queue on another file system"):
                make(*words)
        else:
            make(*words)
    assert not list(tmp_path.glob("delete*"))


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


def test_the_heartbeat_of_a_shared_queue_stays_while_a_worker_runs(broker: Broker) -> None:
    shared = f"{broker.to_url()}?journal=delete"
    broker.close()
    opened = brokers.from_url(shared)
    enlisted = enlist(opened)
    words = ["--broker", shared, "--set", "heartbeat=1"]
    one_line(aque("init", *words, status=1).stderr, "workers are running")
    assert opened.settings()["heartbeat"] == 10
    opened.dismiss(enlisted)
    aque("init", *words)
    assert opened.settings()["heartbeat"] == 1
    opened.close()
