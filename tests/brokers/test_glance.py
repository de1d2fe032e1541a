"""A queue that cannot be written to can be looked at, and the look leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from users import ALICE, words_as

BEGIN = """
import os, sys
from pathlib import Path
from support import prototype
from aque import brokers
from aque.errors import UnwritableError

path = sys.argv[1] + "/queue.db"
directory = Path(path).parent

def beside():
    return {each.name: (each.stat().st_mode, each.stat().st_size) for each in directory.iterdir()}

def submit():
    with_queue = brokers.from_url(path)
    (id,) = with_queue.create([prototype()])
    with_queue.close()
    return id

def look():
    before = beside()
    looking = brokers.from_url(path, create=False)
    ids = looking.existing(0, 100)
    assert [task.id for task in looking.select(looking_for, None)] == ids
    looking.close()
    assert beside() == before
    return ids

def refused(act, *named):
    try:
        act()
    except UnwritableError as error:
        assert chr(10) not in str(error)
        assert all(name in str(error) for name in named), error
    else:
        raise AssertionError("not refused")

from aque.brokers.questions import Selection
looking_for = Selection()
assert submit() == 1
"""

MODES = """
for place, read_only, usual in ((path, 0o400, 0o600), (str(directory), 0o500, 0o700)):
    os.chmod(place, read_only)
    seen = look()
    refused(submit, f"cannot write to {place}: Permission denied; ", "alice", "--broker")
    looking = brokers.from_url(path, create=False)
    refused(lambda: looking.create([prototype()]), place)
    copy = brokers.path_of(f"{directory.parent}/copy{read_only}.db")
    looking.backup(copy)
    assert brokers.from_url(copy, create=False).existing(0, 100) == seen
    os.chmod(place, usual)
    (id,) = looking.create([prototype()])
    assert looking.existing(0, 100) == [*seen, id]
    looking.close()
    assert submit() == id + 1
"""

LOGS = """
def in_child(act):
    pid = os.fork()
    if pid == 0:
        try:
            assert act()
        finally:
            os._exit(sys.exc_info()[0] is not None)
    assert os.waitpid(pid, 0)[1] == 0

using = brokers.from_url(path)
using.create([prototype()])
os.chmod(path, 0o400)
in_child(lambda: look() == [1, 2])
using.create([prototype()])
in_child(lambda: look() == [1, 2, 3])
using.close()
os.chmod(path, 0o600)

kept = []  # so that it is not closed, and leaves its log
in_child(lambda: kept.append(brokers.from_url(path)) or kept[0].create([prototype()]))
assert os.path.getsize(path + "-wal")
os.chmod(path, 0o400)
assert look() == [1, 2, 3, 4]
os.rename(path + "-shm", path + "-kept")
refused(look, "cannot write to", path)
os.rename(path + "-kept", path + "-shm")
os.chmod(path, 0o600)
assert submit() == 5
"""


def as_alice(code: str, place: Path) -> None:
    (place / "queue").mkdir(mode=0o700)
    words = [sys.executable, "-c", BEGIN + code, f"{place}/queue"]
    if os.geteuid() == 0:
        os.chown(place / "queue", place.stat().st_uid, place.stat().st_gid)
        words = words_as(ALICE, *words)
    here = Path(__file__).resolve().parent.parent
    environ = {**os.environ, "PYTHONPATH": f"{here}:{here.parent}"}
    done = subprocess.run(words, env=environ, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_may_only_be_read_is_looked_at_and_afterwards_written_to(open_place: Path) -> None:
    as_alice(MODES.replace("alice", ALICE if os.geteuid() == 0 else ""), open_place)


def test_a_log_is_read_by_what_is_there_and_left_as_it_is(open_place: Path) -> None:
    as_alice(LOGS, open_place)
