"""aque-init --backup: a copy of a queue that is in use."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from jobs import fetch, is_alive, one_line, running, submit, work
from support import aque, eventually, started, started_worker

from aque import brokers
from aque.brokers.base import Broker
from aque.commands import backup
from aque.errors import StateError, UsageError
from aque.worker import host


def test_a_copy_is_a_queue_that_goes_on_where_the_first_was(broker: Broker, tmp_path: Path) -> None:
    first = submit(broker, "true")
    work(broker)
    waiting = submit(broker, "true", dependencies=[first])
    copy = str(tmp_path / "copy.db")
    assert aque("init", "--backup", copy).stdout == ""
    assert stat.S_IMODE(os.stat(copy).st_mode) == 0o600
    assert [made.name for made in tmp_path.glob("copy*")] == ["copy.db"]
    submit(broker, "true")
    copied = brokers.from_url(copy, create=False)
    assert copied.existing(0, 99) == [first, waiting]
    work(copied)
    assert fetch(copied, waiting).status == "success"
    assert fetch(broker, waiting).status == "pending"
    copied.close()


def test_what_runs_waits_again_in_the_copy_and_nobody_ends_it(
    broker: Broker, tmp_path: Path
) -> None:
    copy = str(tmp_path / "copy.db")
    with started_worker(broker):
        id = submit(broker, "sleep", "600")
        pid = running(broker, id).pid
        aque("init", "--backup", copy)
        copied = brokers.from_url(copy)
        assert fetch(copied, id).status == "pending"
        assert copied.workers() == []
        aque("kill", "--broker", copy, str(id))
        assert fetch(copied, id).status == "cancelled"
        copied.close()
        assert pid is not None
        assert is_alive(pid)
        assert fetch(broker, id).status == "running"


def test_a_copy_made_while_others_write_is_whole(broker: Broker, tmp_path: Path) -> None:
    code = (
        "import sys; from aque import Queue; q = Queue(sys.argv[1])\n"
        "while True: q.submit_many([dict(pattern='shell', args=['true']) for _ in range(7)])"
    )
    words = [sys.executable, "-c", code, broker.to_url()]
    with started(words), started(words), started_worker(broker, "--slots", "4"):
        eventually(lambda: broker.last_id())
        for number in range(3):
            copy = str(tmp_path / f"{number}.db")
            aque("init", "--backup", copy)
            with closing(sqlite3.connect(copy)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                ((count, last),) = connection.execute("SELECT count(*), max(id) FROM task")
                assert count == (last or 0)
                assert count % 7 == 0, "half of a submission"


def test_no_file_is_ever_replaced(broker: Broker, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    one_line(aque("init", "--backup", str(precious), status=2).stderr, "is there already")
    assert precious.read_text() == "precious"
    one_line(aque("init", "--backup", f"{tmp_path}/no/x", status=2).stderr, "No such file")
    missing = str(tmp_path / "missing.db")
    words = ["--broker", missing, "--backup", str(tmp_path / "copy.db")]
    one_line(aque("init", *words, status=3).stderr, "there is no queue")
    assert not list(tmp_path.glob("copy*"))


def test_large_outputs_are_not_in_the_copy_and_it_says_how_to_have_them(
    broker: Broker, tmp_path: Path
) -> None:
    broker.set_settings({"output-inline": 100})
    id = submit(broker, "seq", "10000")
    work(broker)
    copy = f"{tmp_path}/a copy.db"
    said = aque("init", "--backup", copy).stderr
    one_line(said, "aque-init: a large output is not in the copy (48K); ")
    assert "is gone" in aque("output", "--broker", copy, str(id)).stderr
    subprocess.run(["sh", "-c", said.partition("to have all: ")[2]], check=True)
    written = aque("output", "--broker", copy, str(id))
    assert (written.stdout, written.stderr) == ("".join(f"{n}\n" for n in range(1, 10001)), "")
    assert "wrong" not in aque("doctor", "--broker", copy, status=None).stdout


def test_a_copy_takes_the_place_of_a_queue_and_nothing_of_the_old_gets_into_it(
    broker: Broker, own_queue: str, tmp_path: Path
) -> None:
    copy = f"{tmp_path}/copy.db"
    kept = submit(broker, "true")
    aque("init", "--backup", copy)
    broker.set_settings({"output-inline": 100})
    lost = submit(broker, "seq", "10000")
    work(broker)
    one_line(aque("init", "--restore", copy, status=1).stderr, "is in use", "end its workers")
    shutil.copy(f"{own_queue}-wal", tmp_path)
    broker.close()
    shutil.copy(tmp_path / "queue.db-wal", f"{own_queue}-wal")  # as a crash leaves it
    said = aque("init", "--restore", copy).stderr
    one_line(said, "aque-init: the queue that was there is ")
    restored, old = brokers.from_url(own_queue), brokers.from_url(said.split()[-2])
    assert (restored.existing(0, 99), old.existing(0, 99)) == ([kept], [kept, lost])
    assert submit(restored, "true") == lost, "its number is given again"
    assert not os.path.exists(restored.output_path(lost, 1, "stdout"))
    assert os.path.getsize(old.output_path(lost, 1, "stdout"))
    assert restored.workers() == []
    restored.close()
    old.close()


def test_only_a_whole_copy_is_restored_and_never_while_a_worker_runs(
    broker: Broker, own_queue: str, tmp_path: Path
) -> None:
    submit(broker, "true")
    whole, torn = tmp_path / "whole.db", tmp_path / "torn.db"
    backup.back_up(broker, str(whole))
    broker.close()
    torn.write_bytes(whole.read_bytes()[:-4096])
    before = sorted(os.listdir(os.path.dirname(own_queue)))
    for path, said in (
        (str(torn), f"cannot restore {torn}: {torn} is damaged"),
        (own_queue, "is the queue itself"),
        (f"{tmp_path}/none", "there is no file"),
    ):
        with pytest.raises(UsageError, match=said):
            backup.restore(own_queue, path)
    assert sorted(os.listdir(os.path.dirname(own_queue))) == before
    new = f"sqlite://{tmp_path}/new.db?journal=delete"
    assert backup.restore(new, str(whole)) is None
    restored = brokers.from_url(new)
    assert restored.existing(0, 99) == [1]
    life = host.hold_life(restored, "a worker's")
    with pytest.raises(StateError, match="in use"):
        backup.restore(new, str(whole))
    os.close(life)
    restored.close()
