"""A run is taken up again where it ended, and what succeeded does not run twice."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest
from jobs import is_alive
from support import aque, eventually
from xargs import pair, runs

from aque import states
from aque.brokers.base import Broker
from aque.queue import Queue

#: Notes who begins, waits for the gate unless it is among the first two, and notes who ends.
GATED = (
    "echo $0 >> begun; while [ $0 -gt 2 ] && [ ! -e gate ]; do sleep 0.01; done; echo $0 >> done"
)


def noted(place: Path, name: str) -> Counter[str]:
    file = place / name
    return Counter(file.read_text().split() if file.exists() else [])


def test_what_failed_and_what_never_ran_runs_and_nothing_else(broker: Broker, tmp_path: Path):
    script = "echo $0 >> begun; [ $0 != 2 ] || [ -e ok ] || exit 255"
    assert runs.run("-n1", "sh", "-c", script, data=b"1 2 3 4", cwd=tmp_path).status == 124
    (tmp_path / "ok").touch()
    id = runs.group(broker).id
    assert runs.run("--resume", str(id), cwd=tmp_path).status == 0
    assert noted(tmp_path, "begun") == {"1": 1, "2": 2, "3": 1, "4": 1}
    assert runs.group(broker).status == states.SUCCESS
    assert [task.attempt for task in runs.children(broker)] == [1, 2, 1, 1]


@pytest.mark.parametrize("again", [b"", b"1 2 3 4 5 6 7"])
def test_after_kill_9_it_goes_on_where_it_was(broker: Broker, tmp_path: Path, again: bytes):
    given = b"1 2 3 4 5"
    with runs.start("-n1", "-P2", "sh", "-c", GATED, data=given, cwd=tmp_path) as process:
        eventually(lambda: runs.statuses(broker).count(states.SUCCESS) == 2)
        eventually(lambda: noted(tmp_path, "begun").total() == 4)
        process.kill()
        process.wait()
    id = runs.group(broker).id
    aque("wait", "--timeout", "5", str(id), status=None)  # ends what it left
    (tmp_path / "gate").touch()
    done = runs.run("--resume", str(id), data=again, cwd=tmp_path)
    assert (done.status, done.stderr) == (0, b"")
    wanted = (again or given).decode().split()
    assert noted(tmp_path, "done") == dict.fromkeys(wanted, 1)
    assert noted(tmp_path, "begun") == {n: 2 if n in "34" else 1 for n in wanted}
    assert set(runs.statuses(broker)) == {states.SUCCESS}


def test_resume_right_after_kill_9_ends_what_was_left_first(broker: Broker, tmp_path: Path):
    script = "echo $$ >> pids; [ -e again ] || exec sleep 60"
    with runs.start("sh", "-c", script, data=b"a", cwd=tmp_path) as process:
        eventually(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text())
        process.kill()
        process.wait()
    (tmp_path / "again").touch()
    assert runs.run("--resume", "last", cwd=tmp_path).status == 0
    first = int((tmp_path / "pids").read_text().split()[0])
    assert not is_alive(first)


def test_input_that_differs_is_refused_and_nothing_runs(broker: Broker, tmp_path: Path):
    script = "echo $0 >> begun; exit $0"
    assert runs.run("-n1", "sh", "-c", script, data=b"0 1 0", cwd=tmp_path).status == 123
    id = runs.group(broker).id
    for data, has in ((b"0 2 0", "differs at command 2"), (b"0", "has ended at command 2")):
        done = runs.run("--resume", str(id), data=data, cwd=tmp_path)
        told = f"xargs: the input {has} of task {id}; none was run\n"
        assert (done.status, done.stderr.decode()) == (1, told)
    assert noted(tmp_path, "begun").total() == 3
    assert runs.group(broker).status == states.ERROR


def test_options_given_now_come_after_those_of_the_run(broker: Broker):
    assert runs.run("-n1", "--tag", "sh", "-c", "exit 1", data=b"a b").status == 123
    id = str(runs.group(broker).id)
    done = runs.run("--resume", id, "--keep-order", "-t", "-P2")
    assert (done.status, done.stderr.count(b"\n")) == (123, 2)
    done = runs.run("--resume", id, "sh", "-c", "exit 1", data=b"a b c")
    assert done.status == 123
    assert [task.attempt for task in runs.children(broker)] == [3, 3, 1]


def test_what_was_cut_off_with_input_to_come_is_not_taken_for_done(broker: Broker, tmp_path: Path):
    argv = ["-n1", "sh", "-c", "[ -e ok ] || exec sleep 60"]
    with runs.start(*argv, data=b"1 ", is_open=True, cwd=tmp_path) as process:
        eventually(lambda: states.RUNNING in runs.statuses(broker))
        process.kill()
        process.wait()
    id = runs.group(broker).id
    (tmp_path / "ok").touch()
    for _ in range(2):
        done = runs.run("--resume", "last", cwd=tmp_path)
        told = (
            f"xargs: task {id} was ended before its input was; running what had been read. For the "
            f"rest give it again: ... | xargs --resume {id}\n"
        )
        assert (done.status, done.stderr.decode()) == (1, told)
        assert runs.statuses(broker) == [states.SUCCESS]
        assert runs.group(broker).status == states.ERROR
    aque("retry", str(id))
    aque("wait", str(id), status=1)
    cut_off = f"its input was cut off; give it to aque-xargs --resume {id}"
    assert runs.group(broker).error == cut_off
    assert aque("status", str(id)).stdout.endswith(
        f"retry     aque-xargs --resume {id}, with its input\n"
    )
    done = runs.run("--resume", "last", data=b"1 2", cwd=tmp_path)
    assert (done.status, done.stderr) == (0, b"")
    assert runs.group(broker).status == states.SUCCESS
    assert runs.run("--resume", "last") == pair.Outcome(b"", b"", 0)


def test_what_was_read_to_its_end_is_done_once_all_was_retried(broker: Broker, tmp_path: Path):
    assert runs.run("-n1", "test", "-e", data=b"a b", cwd=tmp_path).status == 123
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    aque("retry", "-r", str(runs.group(broker).id))
    aque("worker", "--to-end")
    assert runs.group(broker).status == states.SUCCESS


def test_a_dry_run_shows_what_would_run_and_runs_nothing(broker: Broker, tmp_path: Path):
    assert runs.run("-n1", "sh", "-c", "exit $0", data=b"0 1 2", cwd=tmp_path).status == 123
    first = b"sh -c 'exit $0' 1\nsh -c 'exit $0' 2\n"
    more = first + b"sh -c 'exit $0' 3\n"
    for options in ("--resume", "last", "--dry-run"), ("--dry-run", "--resume=last"):
        assert runs.run(*options).stdout == first
        assert runs.run(*options, data=b"0 1 2 3").stdout == more
        assert runs.run(*options, data=b"0 1 5").status == 1
    assert [task.attempt for task in runs.children(broker)] == [1, 1, 1]


def test_what_runs_again_has_the_limits_given_now(broker: Broker):
    argv = ["-P2", "-n1", "--timeout", "0.05", "sh", "-c", "sleep 0.2; exit $(($AQUE_ATTEMPT < 3))"]
    assert runs.run(*argv, data=b"a b").status == 123
    given = ["--timeout", "60", "--retries", "1", "--memory", "99M", "--cpus", "0.5"]
    assert runs.run("--resume", "last", *given).status == 0
    for task in runs.children(broker):
        assert (task.attempt, task.timeout, task.retries) == (3, 60.0, 1)
        assert (task.memory, task.cpus) == (99 << 20, 0.5)


def test_it_goes_on_in_the_directory_of_the_run(broker: Broker, tmp_path: Path):
    place = tmp_path / "place"
    place.mkdir()
    (place / "script").write_text("test -e $1.ok && echo $PWD > $1")
    assert runs.run("-n1", "sh", "script", data=b"a b", cwd=place).status == 123
    (place / "a.ok").touch()
    (place / "b.ok").touch()
    (tmp_path / "items").write_text("a b c.ok")
    assert runs.run("--resume", "last", "-a", "items", cwd=tmp_path).status == 123
    assert [(place / name).read_text() for name in "ab"] == [f"{place}\n"] * 2
    place.rename(tmp_path / "elsewhere")
    gone = f"xargs: the run was in {place}: No such file or directory\n"
    assert runs.run("--resume", "last").stderr.decode() == gone


def test_what_is_the_runs_own_is_not_changed(broker: Broker):
    assert runs.run("--name", "own", "false", data=b"a").status == 123
    id = runs.group(broker).id
    for given, told in [
        (["echo"], f"task {id} ran false; leave the command out"),
        (["--name", "other"], f"task {id} has its name; leave --name out"),
        (["--priority", "7"], f"leave --priority out; aque-priority changes that of task {id}"),
        (["--detach"], "--resume needs the commands here; leave it or --detach out"),
    ]:
        done = runs.run("--resume", "last", *given)
        assert (done.status, done.stderr.decode()) == (1, f"xargs: {told}\n")
    assert runs.run("--resume", "last", "--name", "own", "false").status == 123


def test_last_is_the_last_run_whatever_was_submitted_since(broker: Broker):
    aque("submit", "true")
    assert runs.run("--resume", "last").stderr == b"xargs: there is no run to resume\n"
    assert runs.run("sh", "-c", "echo $AQUE_ATTEMPT; exit 1").stdout == b"1\n"
    Queue(broker).submit_ex(name="a group", children=[{"pattern": "shell", "args": ["true"]}])
    assert runs.run("--resume", "last").stdout == b"2\n"


def test_what_is_no_run_cannot_be_resumed(broker: Broker):
    aque("submit", "true")
    assert runs.run("--resume", "1").stderr == b"xargs: task 1 is no run of xargs\n"
    assert runs.run("--resume", "7").stderr == b"xargs: there is no task 7\n"
    assert runs.run("--resume", "x").status == 1


def test_a_run_that_is_at_work_cannot_be_resumed(broker: Broker):
    with runs.start("sh", "-c", "exec sleep 60", data=b"a") as process:
        id = eventually(lambda: runs.group(broker)).id
        eventually(lambda: runs.statuses(broker) == [states.RUNNING])
        told = f"xargs: task {id} is still at work; aque-kill {id} ends it\n"
        assert runs.run("--resume", str(id)).stderr.decode() == told
        process.terminate()


def test_a_run_interrupted_before_its_input_ended_asks_for_that_again(broker: Broker):
    with runs.start("-n1", "sh", "-c", "exec sleep 60", data=b"a " * 5000) as process:
        eventually(lambda: states.RUNNING in runs.statuses(broker))
        process.send_signal(signal.SIGINT)
        process.wait(10)
        assert process.stderr is not None
        told = process.stderr.read().decode()
    assert told.endswith(f"; give the input again to aque-xargs --resume {runs.group(broker).id}\n")


def test_an_interrupted_run_says_how_it_is_resumed(broker: Broker):
    with runs.start("-n1", "sh", "-c", "exec sleep 60", data=b"a b") as process:
        eventually(lambda: states.RUNNING in runs.statuses(broker))
        process.send_signal(signal.SIGINT)
        process.wait(10)
        assert process.stderr is not None
        told = process.stderr.read().decode()
    assert told.endswith(f"; aque-xargs --resume {runs.group(broker).id} runs the rest\n")
