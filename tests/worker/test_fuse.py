"""A queue on a file system that is not known as local: a mount of bindfs, where one can be made."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hosts import host
from jobs import ended, output, running, submit, work
from support import aque, eventually, started

from aque import brokers, location, states
from aque.brokers.base import Broker
from aque.errors import BrokerError


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """A directory that is mounted by FUSE on another."""
    if shutil.which("bindfs") is None:
        pytest.skip("bindfs is not installed")
    (tmp_path / "below").mkdir()
    (tmp_path / "mount").mkdir()
    words = ["bindfs", "-f", str(tmp_path / "below"), str(tmp_path / "mount")]
    with started(words, stderr=subprocess.PIPE) as process:
        eventually(lambda: os.path.ismount(words[-1]) or process.poll() is not None)
        if process.poll() is not None:
            assert process.stderr is not None
            pytest.skip(f"no FUSE here: {process.stderr.read()!r}")
        try:
            yield tmp_path / "mount"
        finally:
            if subprocess.run(["umount", words[-1]], check=False).returncode != 0:
                subprocess.run(["umount", "-l", words[-1]], check=True)


@pytest.fixture
def broker(mount: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    monkeypatch.setenv("AQUE_BROKER", str(mount / "queue.db"))
    opened = brokers.from_url(durable=False)
    opened.set_settings({"heartbeat": 0.25})
    yield opened
    opened.close()


def test_a_queue_there_is_found_to_be_shared_before_anything_is_made(mount: Path) -> None:
    place = location.find(str(mount / "queue.db"))
    assert (place.journal, place.is_shared) == ("delete", True)
    assert os.listdir(mount) == []
    url = aque("init", "--broker", place.path).stdout.strip()
    assert url == f"sqlite://{place.path}", "its place says enough"
    assert sorted(os.listdir(mount)) == ["queue.db", "queue.db-lock", "queue.db.d"]


def test_commands_work_there_as_anywhere(broker: Broker) -> None:
    id = submit(broker, "echo", "hello")
    work(broker)
    assert output(broker, id) == b"hello\n"
    done = aque("xargs", "-n1", "-P2", "echo", input="a b c\n")
    assert sorted(done.stdout.split()) == ["a", "b", "c"]
    assert aque("status", "--workers").stdout == ""


def test_two_hosts_share_a_queue_there(broker: Broker, mount: Path) -> None:
    ids = [submit(broker, "sh", "-c", f"echo >> {mount}/$AQUE_TID", cpus=0.1) for _ in range(40)]
    with host("ash") as ash, host("birch") as birch:
        for name in (ash, birch):
            name.start("worker", "--broker", broker.to_url())
        assert [ended(broker, id, 30).status for id in ids] == [states.SUCCESS] * 40
        assert {(mount / str(id)).read_text() for id in ids} == {"\n"}
        eventually(lambda: {worker.host for worker in broker.workers()} == {"ash", "birch"})
        stays = submit(broker, "sleep", "1000", host="ash")
        running(broker, stays)
        assert birch.start("kill", "--broker", broker.to_url(), str(stays)).wait(20) == 0
    with closing(sqlite3.connect(mount / "queue.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def opened(path: Path) -> Broker | None:
    try:
        return brokers.from_url(str(path))
    except BrokerError:
        return None


def test_a_queue_that_is_used_below_by_its_log_is_refused_above(mount: Path) -> None:
    below = brokers.from_url(str(mount.parent / "below" / "queue.db"))
    assert not below.is_shared or location.find(str(mount.parent)).is_shared
    if below.is_shared:
        pytest.skip("the tests themselves are on a shared disk")
    with pytest.raises(BrokerError, match="in use on"):
        brokers.from_url(str(mount / "queue.db"))
    below.close()
    # For a second such a mount goes on showing the log that is gone.
    above = eventually(lambda: opened(mount / "queue.db"))
    assert above.is_shared
    above.close()
