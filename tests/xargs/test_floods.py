"""Of many short commands two supervisors start most, and nothing else is different by that."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from jobs import is_listening, read_pid
from support import aque, eventually, started
from xargs import pair, runs

from aque import states
from aque.brokers.base import Broker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there are no floods elsewhere")

PIPE = subprocess.PIPE
#: Calls it a flood at the second end, however busy the machine is.
EAGER = (
    sys.executable,
    "-c",
    "import sys; from aque.commands import xargs; from aque.worker.flood import gauge;"
    " gauge._ENDS, gauge._SECONDS, gauge._TIMES_MOST = 1, 60.0, 1; sys.exit(xargs.main())",
)
#: Finds out the parent of a shell, without its $PPID: by that a command says that it needs it.
PARENT = "read _ _ _ parent _ < /proc/$$/stat"
#: Notes each item, and whose child it is; a slot that is taken twice at a time is noted too.
NOTE = (
    "mkdir slot$AQUE_SLOT || echo $0 >> twice; echo $0 >> begun; {parent}; echo $parent >> parents;"
    " {script}; rmdir slot$AQUE_SLOT"
)


@contextmanager
def running(
    place: Path, *argv: str, count: int = 10**7, words: tuple[str, ...] = EAGER, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Start it on so many numbers."""
    options = {"stdout": PIPE, "stderr": PIPE, "cwd": place, "env": pair.environ(), **options}
    with (
        started(["seq", str(count)], stdout=PIPE) as numbers,
        started([*words, "-n1", *argv], stdin=numbers.stdout, **options) as process,
    ):
        assert numbers.stdout is not None
        numbers.stdout.close()
        yield process


def note(script: str = ":") -> list[str]:
    return ["sh", "-c", NOTE.format(parent=PARENT, script=script)]


def noted(place: Path, name: str) -> Counter[str]:
    file = place / name
    return Counter(file.read_text().split() if file.exists() else [])


def family(process: subprocess.Popen[bytes]) -> dict[int, list[str]]:
    """Return the command lines of what runs below it, by pid."""
    found = {}
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE:
                found[child.pid] = child.cmdline()
    return found


def supervisors(process: subprocess.Popen[bytes]) -> list[int]:
    """Return those that are forks of it."""
    return [pid for pid, words in family(process).items() if words == process.args]


def in_flood(process: subprocess.Popen[bytes]) -> list[int]:
    """Wait until it is in one; return its supervisors."""
    return eventually(lambda: two if len(two := supervisors(process)) >= 2 else None)


def told(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr is not None
    return process.stderr.read().decode()


def begun(place: Path, count: int) -> bool:
    return noted(place, "begun").total() >= count


def of_item(broker: Broker, number: int) -> Any:
    """Return the task of an item, if it is there."""
    found = broker.children(runs.group(broker).id, number)
    return found[number - 1] if len(found) == number else None


def test_by_many_short_commands_it_knows_a_flood(tmp_path: Path, broker: Broker):
    with running(tmp_path, "-P2", "true", words=pair.OURS) as process:
        in_flood(process)


def test_what_supervisors_run_is_started_and_recorded_as_ever(tmp_path: Path, broker: Broker):
    script = 'echo "$0 $AQUE_TID $AQUE_ATTEMPT" >> told; echo $AQUE_SLOT >> slots'
    with running(tmp_path, "-P3", *note(script), count=400) as process:
        assert process.wait(60) == 0
    tasks = runs.children(broker)
    assert len(tasks) == 400
    for number, task in enumerate(tasks, 1):
        assert (task.status, task.attempt, task.exit_status) == (states.SUCCESS, 1, 0)
        assert str(task.args).endswith(f'"{number}"]')
        assert task.created_at <= task.started_at <= task.ended_at
        assert None not in (task.user_time, task.system_time)
        assert task.max_rss is None or task.max_rss < 100 << 20
    lines = (tmp_path / "told").read_text().splitlines()
    assert sorted(lines) == sorted(f"{n} {task.id} 1" for n, task in enumerate(tasks, 1))
    assert set(noted(tmp_path, "slots")) == {"1", "2", "3"}
    assert not noted(tmp_path, "twice")
    parents = noted(tmp_path, "parents")
    assert len(parents) >= 3


def test_commands_that_fail_are_counted_and_the_rest_runs(tmp_path: Path, broker: Broker):
    script = "echo $0 >> begun; [ $(($0 % 40)) != 7 ] || exit 3"
    with running(tmp_path, "-P2", "sh", "-c", script, count=200) as process:
        assert process.wait(60) == 123
        assert told(process) == ""
    assert noted(tmp_path, "begun") == {str(n): 1 for n in range(1, 201)}
    failed = [task for task in runs.children(broker) if task.status == states.ERROR]
    assert [task.exit_status for task in failed] == [3] * 5


def test_one_at_a_time_stays_in_order_and_nothing_begins_after_255(tmp_path: Path, broker: Broker):
    script = PARENT + "; echo $parent >> parents; echo $0 >> begun; [ $0 != 200 ] || exit 255"
    with running(tmp_path, "sh", "-c", script) as process:
        assert process.wait(60) == 124
    assert (tmp_path / "begun").read_text().split() == [str(n) for n in range(1, 201)]
    assert len(noted(tmp_path, "parents")) >= 2


def test_by_255_it_ends(tmp_path: Path, broker: Broker):
    script = "echo $0 >> begun; [ $0 != 200 ] || exit 255"
    with running(tmp_path, "-P2", "sh", "-c", script) as process:
        assert process.wait(60) == 124
        assert told(process) == "aque-xargs: sh: exited with status 255; aborting\n"
    often = noted(tmp_path, "begun")
    assert often == dict.fromkeys(often, 1)
    done = Counter(task.status for task in broker.children(runs.group(broker).id, 10_000))
    begun = {states.ERROR: 1, states.SUCCESS: len(often) - 1}
    assert done == {**begun, states.CANCELLED: done.total() - len(often)}


def test_a_program_that_goes_away_ends_it(tmp_path: Path, broker: Broker):
    shutil.copy("/bin/sh", tmp_path / "tool")
    script = "echo $0 >> begun; [ $0 != 200 ] || rm tool"
    with running(tmp_path, "-P2", "./tool", "-c", script) as process:
        assert process.wait(60) == 127
        assert told(process) == "aque-xargs: ./tool: No such file or directory\n"
    assert set(noted(tmp_path, "begun").values()) == {1}


def test_what_is_too_long_to_be_handed_over_is_started_all_the_same(tmp_path: Path, broker: Broker):
    items = "".join(f"{n}{'x' * 20_000 * (n % 40 == 7)}\n" for n in range(200))
    (tmp_path / "items").write_text(items)
    words = [*EAGER, "-a", "items", "-n1", "-P2", "sh", "-c", "echo ${#0} >> begun"]
    with started(words, cwd=tmp_path, env=pair.environ()) as process:
        assert process.wait(60) == 0
    assert noted(tmp_path, "begun") == Counter(str(len(item)) for item in items.split())


def test_long_commands_among_short_ones_are_shown_and_can_be_killed(tmp_path: Path, broker: Broker):
    script = (
        PARENT
        + "; echo $parent >> parents; echo $0 >> begun; case $0 in 100|101) exec sleep 60;; esac"
    )
    with running(tmp_path, "-P4", "sh", "-c", script) as process:
        eventually(lambda: begun(tmp_path, 101))
        task = eventually(lambda: of_item(broker, 100))
        eventually(lambda: broker.fetch([task.id])[0].pid)
        # The short ones go on, and a flood of them has the slots that are left.
        earlier = {str(process.pid), *noted(tmp_path, "parents")}
        eventually(lambda: set(noted(tmp_path, "parents")) - earlier)
        (task,) = broker.fetch([task.id])
        assert task.status == states.RUNNING
        aque("kill", str(task.id))
        eventually(lambda: broker.fetch([task.id])[0].status == states.CANCELLED)
        assert not psutil.pid_exists(task.pid)
        so_far = noted(tmp_path, "begun").total()
        eventually(lambda: begun(tmp_path, so_far + 50))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == -signal.SIGTERM


def test_who_comes_to_use_its_queue_is_heard(tmp_path: Path, broker: Broker):
    """Alone it listens to nobody while short commands follow each other."""
    with running(tmp_path, "-P2", "true") as process:
        in_flood(process)
        group = runs.group(broker)

        def is_heard() -> bool:
            aque("submit", "true")
            return is_listening(process.pid)

        eventually(is_heard)
        in_flood(process)  # and it goes on
        aque("kill", str(group.id))
        assert process.wait(20) == 125


def test_what_waits_and_is_killed_does_not_begin(tmp_path: Path, broker: Broker):
    """With its whole group, and so at a time when some of it was handed over."""
    with running(tmp_path, "-P2", "sh", "-c", "echo $0 >> begun") as process:
        in_flood(process)
        eventually(lambda: begun(tmp_path, 100))
        aque("kill", str(runs.group(broker).id))
        said = told(process)
        assert said.startswith("aque-xargs: killed; ")
        assert (process.wait(20), said.count("\n")) == (125, 1)
    done = Counter(task.status for task in broker.children(runs.group(broker).id, 100_000))
    assert set(done) == {states.SUCCESS, states.CANCELLED}
    # What ended in the last moments, and was not told yet, is said to have been cancelled.
    assert 0 <= noted(tmp_path, "begun").total() - done[states.SUCCESS] <= 64


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_wherever_it_comes(tmp_path: Path, broker: Broker, number: int):
    with running(tmp_path, "-P2", "sh", "-c", "echo $0 >> begun") as process:
        children = in_flood(process)
        process.send_signal(number)
        assert process.wait(20) == -number
        assert told(process).startswith("aque-xargs: interrupted; ")
    eventually(lambda: not any(map(psutil.pid_exists, children)))
    done = Counter(task.status for task in broker.children(runs.group(broker).id, 100_000))
    assert done[states.RUNNING] == 0
    assert noted(tmp_path, "begun").total() - 2 <= done[states.SUCCESS]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_can_end_the_run_by_its_parent(tmp_path: Path, broker: Broker, number: int):
    script = f"[ $0 != 200 ] || {{ {PARENT}; kill -{number:d} $parent; exec sleep 60; }}"
    with running(tmp_path, "-P2", "sh", "-c", script) as process:
        assert process.wait(60) == -number
        assert told(process).startswith("aque-xargs: interrupted; ")


def test_a_command_keeps_its_parent_for_as_long_as_it_runs(tmp_path: Path, broker: Broker):
    """It can signal it, as a script whose arguments do not tell that it has a use for it."""
    script = tmp_path / "script"
    script.write_text(
        "echo $PPID >> parents; [ $1 = 200 ] || exit 0; echo $PPID > parent; echo $$ > pid;"
        " while [ ! -e go ]; do sleep 0.01; done; kill -USR1 $PPID; kill $PPID; exec sleep 0.3\n"
    )
    with running(tmp_path, "-P2", "sh", "script") as process:
        pid = read_pid(tmp_path / "pid")
        parent = int((tmp_path / "parent").read_text())
        before = noted(tmp_path, "parents").total()
        eventually(lambda: noted(tmp_path, "parents").total() > before + 100)
        assert psutil.Process(pid).ppid() == parent
        (tmp_path / "go").touch()
        assert process.wait(20) == -signal.SIGTERM
        assert told(process).startswith("aque-xargs: interrupted; ")
    eventually(lambda: not psutil.pid_exists(parent))


def test_who_asks_to_be_killed_with_its_parent_is_not(tmp_path: Path, broker: Broker):
    """As bwrap --die-with-parent does: it is as safe as under xargs."""
    script = tmp_path / "script.py"
    script.write_text(
        "import ctypes, os, sys, time\n"
        "ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)\n"  # PR_SET_PDEATHSIG
        "while not os.path.exists('go'): time.sleep(0.01)\n"
    )
    command = f"echo $0 >> begun; case $0 in 100|101) exec {sys.executable} {script};; esac"
    with running(tmp_path, "-P4", "sh", "-c", command) as process:
        eventually(lambda: begun(tmp_path, 300))
        (tmp_path / "go").touch()
        eventually(lambda: (task := of_item(broker, 101)) and task.status == states.SUCCESS)
        eventually(lambda: of_item(broker, 100).status == states.SUCCESS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == -signal.SIGTERM
    tasks = broker.children(runs.group(broker).id, 101)
    assert [task.status for task in tasks[99:]] == [states.SUCCESS] * 2


def test_killed_with_what_it_started_it_leaves_nothing(tmp_path: Path, broker: Broker):
    """A supervisor that is killed when it has retired: what it ran is awaited all the same."""
    script = PARENT + "; echo $0 >> begun; [ $0 != 100 ] || { echo $parent > parent; sleep 0.5; }"
    with running(tmp_path, "-P2", "sh", "-c", script, count=600) as process:
        parent = read_pid(tmp_path / "parent")
        if parent != process.pid:
            os.kill(parent, signal.SIGKILL)
        assert (process.wait(60), told(process)) == (0, "")
    tasks = broker.children(runs.group(broker).id, 600)
    assert [task.status for task in tasks] == [states.SUCCESS] * 600
    assert noted(tmp_path, "begun") == {str(n): 1 for n in range(1, 601)}


def test_who_speaks_of_its_parent_has_always_the_same(tmp_path: Path, broker: Broker):
    """So that it can end the run by it, however long it takes."""
    script = "echo $PPID >> parents; [ $0 != 200 ] || { sleep 0.2; kill $PPID; exec sleep 60; }"
    with running(tmp_path, "-P2", "sh", "-c", script) as process:
        assert process.wait(60) == -signal.SIGTERM
        assert set(noted(tmp_path, "parents")) == {str(process.pid)}


@pytest.mark.parametrize("whom", ["group", "supervisors"])
def test_a_signal_to_several_of_it_counts_once(tmp_path: Path, broker: Broker, whom: str):
    """Twice would kill what is running at once."""
    script = "trap 'sleep 0.2; exit 1' TERM; echo $0 >> begun"
    with running(tmp_path, "-P2", "sh", "-c", script, process_group=0) as process:
        if whom == "group":
            in_flood(process)
            os.killpg(process.pid, signal.SIGTERM)
        else:
            for pid in eventually(lambda: of_held(process)):
                with suppress(ProcessLookupError):  # that had retired before
                    os.kill(pid, signal.SIGTERM)
            process.send_signal(signal.SIGCONT)
        assert process.wait(20) == -signal.SIGTERM
    tasks = broker.children(runs.group(broker).id, 10**6)
    assert {task.exit_signal for task in tasks} <= {None, signal.SIGTERM}


def of_held(process: subprocess.Popen[bytes]) -> list[int]:
    """Stop it, so that none is told to retire; return its supervisors, if it has both."""
    process.send_signal(signal.SIGSTOP)
    both = supervisors(process)
    if len(both) < 2:
        process.send_signal(signal.SIGCONT)
        return []
    return both


def test_usr1_and_usr2_change_how_many_run(tmp_path: Path, broker: Broker):
    with running(tmp_path, "-P2", *note("echo $AQUE_SLOT >> slots")) as process:
        in_flood(process)
        process.send_signal(signal.SIGUSR1)
        eventually(lambda: noted(tmp_path, "slots")["3"])
        assert not noted(tmp_path, "slots")["4"]
        assert not noted(tmp_path, "twice")


def test_killed_with_9_it_leaves_nothing_and_is_resumed(tmp_path: Path, broker: Broker):
    with running(tmp_path, "-P2", "sh", "-c", "echo $0 >> begun", count=3000) as process:
        children = in_flood(process)
        eventually(lambda: begun(tmp_path, 100))
        process.kill()
        process.wait()
    eventually(lambda: not any(map(psutil.pid_exists, children)))
    id = runs.group(broker).id
    aque("wait", "--timeout", "5", str(id), status=None)  # ends what it left
    first = broker.children(id, 10_000)
    succeeded = [n for n, task in enumerate(first, 1) if task.status == states.SUCCESS]
    numbers = "".join(f"{n}\n" for n in range(1, 3001)).encode()
    done = runs.run("--resume", str(id), data=numbers, cwd=tmp_path, timeout=120)
    assert (done.status, done.stderr) == (0, b"")
    often = noted(tmp_path, "begun")
    assert len(often) == 3000
    assert all(often[str(n)] == 1 for n in succeeded)
    assert sum(times > 1 for times in often.values()) <= 60  # of what it was yet to tell


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGURG])
def test_a_supervisor_that_ends_is_done_without(tmp_path: Path, broker: Broker, number: int):
    with running(tmp_path, "-P2", *note(), count=400) as process:
        for _ in range(3):
            os.kill(in_flood(process)[0], number)
        status = process.wait(60)
        said = told(process)
    tasks = broker.children(runs.group(broker).id, 10_000)
    lost = [task for task in tasks if task.status != states.SUCCESS]
    assert [task.error for task in lost] == ["the process that awaited it was killed"] * len(lost)
    assert len(lost) <= 3 * (number == signal.SIGKILL)
    assert (status, said) == (123 if lost else 0, "")
    assert noted(tmp_path, "begun") == {str(n): 1 for n in range(1, 401)}


def test_stopped_it_begins_nothing_and_then_goes_on(tmp_path: Path, broker: Broker):
    with running(tmp_path, "-P2", "sh", "-c", "echo $0 >> begun") as process:
        in_flood(process)
        process.send_signal(signal.SIGTSTP)
        eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
        eventually(lambda: not supervisors(process))
        eventually(lambda: not [words for words in family(process).values() if words[0] == "sh"])
        so_far = noted(tmp_path, "begun").total()
        process.send_signal(signal.SIGCONT)
        eventually(lambda: begun(tmp_path, so_far + 20))


@pytest.mark.parametrize("argv", [(), ("--joblog=log",)], ids=["flood", "none"])
def test_ctrl_z_stops_it_whatever_it_is_at(tmp_path: Path, broker: Broker, argv: tuple[str, ...]):
    """Also where a command was stopped before its exec, on which the one who started it waits."""
    script = "echo $0 > last"
    with running(tmp_path, "-P3", *argv, "sh", "-c", script, process_group=0) as process:
        eventually(lambda: "guard" in str(family(process).values()))
        for _ in range(20):
            os.killpg(process.pid, signal.SIGTSTP)
            eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
            (tmp_path / "last").unlink()
            os.killpg(process.pid, signal.SIGCONT)
            eventually((tmp_path / "last").exists)


def test_what_is_wrong_with_the_input_is_told_once_all_before_it_has_begun(
    tmp_path: Path, broker: Broker
):
    items = "".join(f"{n}\n" for n in range(300)) + "'bad\n"
    (tmp_path / "items").write_text(items)
    script = "[ $0 != 290 ] || exit 255"
    for until, status, said in (
        ("290", 124, "sh: exited with status 255; aborting\n"),
        ("none", 1, "unmatched single quote; by default quotes are special to"),
    ):
        words = [*EAGER, "-a", "items", "-n1", "sh", "-c", script.replace("290", until)]
        done = subprocess.run(
            words, cwd=tmp_path, env=pair.environ(), capture_output=True, text=True, check=False
        )
        assert done.returncode == status
        assert done.stderr.startswith(f"aque-xargs: {said}")


def test_supervisors_hold_nothing_open_but_what_they_need(tmp_path: Path, broker: Broker):
    with running(tmp_path, "-P2", "true") as process:
        eventually(lambda: _open_of(in_flood(process)[0]) <= {"socket", "/dev/null", "pipe"})


def _open_of(pid: int) -> set[str]:
    try:
        return {os.readlink(entry.path).split(":")[0] for entry in os.scandir(f"/proc/{pid}/fd")}
    except FileNotFoundError:
        return {"it has ended"}
