"""Root's worker: tasks of all users, each as its user, from a queue that only root can write to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from jobs import CHECKOUT, fetch, one_line, output
from support import aque, eventually, started
from users import ALICE, BOB, USERS, aque_as, words_as

from aque.brokers.base import Broker
from aque.task import Task

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")

WHO = """
import json, os, sys
print(json.dumps({
    "ids": os.getresuid(), "groups": os.getresgid(), "more": sorted(os.getgroups()),
    "cwd": os.getcwd(), "umask": os.umask(0), "args": sys.argv[1:],
    "session": os.getsid(0) == os.getpid() == os.getpgid(0),
    "environ": {key: os.environb[os.fsencode(key)].hex() for key in os.environ},
    "descriptors": sorted(int(n) for n in os.listdir("/proc/self/fd") if int(n) < 20),
}))
"""


def submit(user: str, *words: str, **options: object) -> int:
    return int(aque_as("root", "submit", "--user", user, *words, **options).stdout)


def run(broker: Broker) -> None:
    aque_as("root", "worker", "--broker", broker.to_url(), "--to-end")


def done(broker: Broker, id: int) -> Task:
    task = fetch(broker, id)
    assert task.status == "success", (task, output(broker, id, "stderr"))
    return task


def test_a_task_runs_as_its_user_and_has_nothing_of_roots(broker: Broker, open_place: Path) -> None:
    words = ["--cwd", str(open_place), "KIND=caf\udce9", "LD_PRELOAD=", "/usr/bin/python3", "-c"]
    arguments = ["", "a b", "\udcff", "x" * 30_000]
    ids = {
        user: submit(user, *words, WHO, *arguments, umask=0o027, env={"PYTHONSTARTUP": "/nowhere"})
        for user in (ALICE, BOB)
    }
    run(broker)
    supplementary = {ALICE: [61001, 61010, 61011], BOB: [61002, 61010]}
    for user, id in ids.items():
        done(broker, id)
        told = json.loads(output(broker, id))
        uid = USERS[user]
        assert (told["ids"], told["groups"]) == ([uid] * 3, [uid] * 3)
        assert told["more"] == supplementary[user]
        assert (told["cwd"], told["umask"]) == (str(open_place), 0o027)
        assert told["args"] == arguments
        assert told["session"]
        assert set(told["descriptors"]) <= {0, 1, 2, 3}  # 3: the directory that was listed
        environ = {key: bytes.fromhex(value) for key, value in told["environ"].items()}
        assert environ["USER"] == environ["LOGNAME"] == user.encode()
        assert environ["HOME"] == b"/tmp"
        assert environ["KIND"] == b"caf\xe9"
        assert environ["AQUE_TID"] == str(id).encode()
        assert "AQUE_BROKER" not in environ, "it is root's, and not theirs to open"


def test_its_files_are_opened_as_its_user(broker: Broker, open_place: Path) -> None:
    """Else a task of alice's could have root empty any file."""
    precious = open_place / "precious"
    precious.write_text("precious")
    os.chmod(precious, 0o600)
    os.chown(precious, 0, 0)
    (open_place / "link").symlink_to(precious)
    (open_place / "in").write_text("hello")
    link, out = f"{open_place}/link", f"{open_place}/out"
    bad = [submit(ALICE, option, link, "cat") for option in ("--stdin", "--stdout", "--stderr")]
    good = submit(
        ALICE, "--stdin", f"{open_place}/in", "--stdout", out, "--stderr", out,
        "-s", "cat; id -un >&2",
    )  # fmt: skip
    run(broker)
    for id in bad:
        assert fetch(broker, id).exit_status == 126
    assert b"Permission denied" in output(broker, bad[0], "stderr")
    assert precious.read_text() == "precious"
    done(broker, good)
    assert Path(out).read_text() == "helloalice\n"
    assert Path(out).stat().st_uid == USERS[ALICE]


def test_python_tasks_run_as_their_user_in_runners_of_their_own(broker: Broker) -> None:
    code = (
        "import os, sys; from aque import Queue;"
        "q = Queue(); f = [q.submit_ex(func=os.getuid, user=u) for u in sys.argv[1:]];"
        "g = q.submit(os.getuid); print(*[t.id for t in (*f, g)])"
    )
    users = (ALICE, BOB, ALICE)
    words = words_as("root", sys.executable, "-c", code, *users)
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    said = subprocess.run(words, env=env, check=True, capture_output=True, text=True, cwd="/")
    ids = [int(word) for word in said.stdout.split()]
    run(broker)
    results = [done(broker, id).result for id in ids]
    assert results == [*(str(USERS[user]) for user in users), "0"]


def test_what_cannot_be_run_ends_like_any_other(broker: Broker, open_place: Path) -> None:
    script = open_place / "no-shebang"
    script.write_text("id -un; echo $1")
    script.chmod(0o755)
    missing, plain, large, private = (
        submit(ALICE, "no-such-command-here"),
        submit(ALICE, str(script), "x"),
        0, submit(ALICE, "--cwd", "/nowhere", "true"),
    )  # fmt: skip
    line = json.dumps({"command": ["true", "x" * (1 << 20)], "user": ALICE})
    large = int(aque_as("root", "submit", "--from", "-", input=line).stdout)
    run(broker)
    assert fetch(broker, missing).exit_status == 127
    assert b"no-such-command-here" in output(broker, missing, "stderr")
    done(broker, plain)
    assert output(broker, plain) == b"alice\nx\n"
    assert fetch(broker, large).exit_status == 126
    assert b"Argument list too long" in output(broker, large, "stderr")
    assert fetch(broker, private).exit_status == 126
    assert b"working directory /nowhere: No such" in output(broker, private, "stderr")


def test_another_users_task_is_killed_with_all_it_started(broker: Broker) -> None:
    id = submit(ALICE, "-s", "sleep 600 & sleep 600")
    words = words_as("root", "/usr/bin/env", f"AQUE_BROKER={broker.to_url()}")
    command = [sys.executable, "-m", "aque.commands.worker"]
    with started([*words, *command], env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, cwd="/"):
        eventually(lambda: fetch(broker, id).pid)
        assert os.stat(f"/proc/{fetch(broker, id).pid}").st_uid in (0, USERS[ALICE])
        aque("kill", "-9", str(id))
    assert fetch(broker, id).status == "cancelled"


# What is refused


def test_only_root_submits_for_others(open_place: Path) -> None:
    env = {"AQUE_BROKER": f"{open_place}/queue.db"}
    said = aque_as(ALICE, "submit", "--user", "root", "true", env=env, status=2).stderr
    one_line(said, "only root may submit for another user")
    said = aque_as("root", "submit", "--user", "nobody-here", "true", env=env, status=2).stderr
    one_line(said, "there is no user 'nobody-here'")
    assert aque_as(ALICE, "submit", "--user", ALICE, "true", env=env).stdout == "1\n"


def test_roots_worker_runs_nothing_that_others_could_have_written(
    broker: Broker, tmp_path: Path
) -> None:
    queue = Path(broker.to_url().removeprefix("sqlite://"))
    submit("root", "true")

    def refused(*parts: str) -> None:
        said = aque("worker", "--to-end", status=3).stderr
        one_line(said, "a worker of root's runs nothing from", *parts)
        assert not list(Path(f"{queue}.d/workers").glob("*"))

    directory = queue.parent
    os.chmod(directory, 0o775)
    refused("group root may write to", str(directory))
    os.chmod(directory, 0o700)
    os.chown(directory.parent, USERS[ALICE], -1)
    refused(f"{directory.parent} belongs to")
    os.chown(directory.parent, 0, -1)
    os.chown(queue, USERS[ALICE], -1)
    refused(f"{queue} belongs to")
    for one in directory.glob("queue.db*"):  # SQLite gives its files to the queue's owner
        os.chown(one, 0, -1)
    assert aque("worker", "--to-end").stderr == ""
    assert fetch(broker, 1).status == "success"


def test_root_runs_xargs_in_a_private_queue_where_its_own_is_somebody_elses(
    open_place: Path,
) -> None:
    path = f"{open_place}/queue.db"
    aque_as(ALICE, "init", "--broker", path)
    done = aque("xargs", "echo", input="a b", env={**os.environ, "AQUE_BROKER": path})
    assert done.stdout == "a b\n"
    one_line(done.stderr, "a worker of root's", "nothing of this run will be kept")
