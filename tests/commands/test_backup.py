"""aque-init --backup: a copy of a queue that is in use."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from jobs import fetch, is_alive, one_line, running, submit, work
from support import aque, eventually, started, started_worker

from aque import brokers
from aque.brokers.base import Broker


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
