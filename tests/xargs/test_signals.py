"""How a run is interrupted: by the keyboard, by kill(1), by aque-kill, and by kill -9."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support import aque, eventually, started
from xargs import pair, runs

from aque import states
from aque.brokers.base import Broker
from aque.task import Task

PIPE = subprocess.PIPE
#: Says who it is, and goes on for longer than any test.
SLEEP = ("sh", "-c", "echo $$; exec sleep 60")


@contextmanager
def running(*argv: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    options = {"stdin": PIPE, "stdout": PIPE, "stderr": PIPE, "env": pair.environ(), **options}
    with started([*pair.OURS, *argv], **options) as process:
        yield process


def feed(process: subprocess.Popen[bytes], data: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.close()


def line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def told(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr is not None
    return process.stderr.read().decode()


def tasks(broker: Broker) -> tuple[Task, list[Task]]:
    """Return the group of the only run, and its children."""
    (group,), _ = broker.roots(0.0, None, None)
    return group, broker.children(group.id, 1000)


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_children_and_then_the_run_by_itself(broker, number):
    with running("-n1", "-P2", *SLEEP) as process:
        feed(process, b"a b c d")
        pids = [int(line(process)), int(line(process))]
        process.send_signal(number)
        assert process.wait(10) == -number
        assert not any(map(is_there, pids))
        group, children = tasks(broker)
        assert [task.status for task in children] == [states.CANCELLED] * 4
        assert [task.exit_signal for task in children] == [number, number, None, None]
        assert group.status == states.CANCELLED
        said = f"interrupted; 4 commands were cancelled (task {group.id})"
        resume = f"aque-xargs --resume {group.id} runs the rest"
        assert told(process) == f"aque-xargs: {said}; {resume}\n"


def test_a_command_that_ignores_the_signal_is_killed_by_the_second():
    script = "trap 'echo told' TERM; trap '' INT; echo $$; while :; do sleep 0.01; done"
    with running("-n1", "sh", "-c", script) as process:
        feed(process, b"a")
        pid = int(line(process))
        process.send_signal(signal.SIGTERM)
        assert line(process) == "told"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == -signal.SIGTERM
        assert not is_there(pid)


def test_a_shell_sees_130_after_an_interrupt():
    command = "trap exit INT; kill -INT $PPID; while :; do sleep 0.01; done"
    script = f"echo a | X sh -c '{command}'; echo $? >&2"
    done = pair.shell(script, " ".join(pair.OURS), start_new_session=True)
    assert done.stderr.endswith(b"130\n")


def _take_terminal() -> None:
    """Make standard input the controlling terminal of a session of one's own."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_ctrl_c_reaches_each_command_once_as_under_gnu_xargs(tmp_path):
    """The terminal tells the commands itself; to be told twice makes some give up their cleanup."""
    master, slave = pty.openpty()
    script = "trap 'echo told; exit 3' INT; echo $$; while :; do sleep 0.01; done"
    (tmp_path / "items").write_text("a b c")
    argv = ["-a", "items", "-n1", "-P2", "sh", "-c", script]
    try:
        with running(*argv, stdin=slave, preexec_fn=_take_terminal, cwd=tmp_path) as process:
            pids = [int(line(process)), int(line(process))]
            for pid in pids:
                assert os.getsid(pid) == os.getsid(process.pid) == process.pid
                assert os.getpgid(pid) == os.getpgid(process.pid)
            os.write(master, b"\x03")
            assert process.wait(10) == -signal.SIGINT
            assert process.stdout is not None
            assert process.stdout.read() == b"told\ntold\n"
            said = "aque-xargs: interrupted; 3 commands were cancelled (task 1); "
            assert told(process).startswith(said)
    finally:
        os.close(master)
        os.close(slave)


def test_ctrl_z_stops_the_run_and_it_can_be_continued(tmp_path):
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (10, 60))
    try:
        # A shell between, since a process group without a parent in its session is never stopped.
        (tmp_path / "items").write_text("a")
        ours_said = f"{' '.join(pair.OURS)} --bar -a {tmp_path}/items"
        script = f"{ours_said} sh -c 'echo run; read line; echo $line'; exit $?"
        words = ["sh", "-c", script]
        with started(words, stdin=slave, stdout=PIPE, stderr=slave,
                     env=pair.environ(TERM="xterm"),
                     preexec_fn=_take_terminal) as process:  # fmt: skip
            assert line(process) == "run"
            eventually(lambda: b"\x1b[1;8r" in os.read(master, 4096))
            os.write(master, b"\x1a")
            (ours,) = _children(process.pid)
            eventually(lambda: _state(ours) == "T")
            # The shell has all rows.
            eventually(lambda: os.read(master, 4096).endswith(b"\x1b[J\x1b8"))
            os.killpg(os.getpgid(ours), signal.SIGCONT)
            os.write(master, b"typed\n")
            assert line(process) == "typed"
            assert process.wait(10) == 0
    finally:
        os.close(master)
        os.close(slave)


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def _state(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def test_aque_kill_of_a_command_is_its_failure_and_the_run_goes_on(broker):
    with running("-n1", "sh", "-c", "echo $0; [ $0 != a ] || exec sleep 60") as process:
        feed(process, b"a b")
        assert line(process) == "a"
        running_one = eventually(lambda: _running(broker))
        aque("kill", str(running_one.id))
        assert line(process) == "b"
        assert (process.wait(10), told(process)) == (123, "")
        group, children = tasks(broker)
        assert [task.status for task in children] == [states.CANCELLED, states.SUCCESS]
        assert group.status == states.ERROR


def test_aque_kill_of_a_command_that_waits_leaves_it_out(broker):
    with running("-n1", "sh", "-c", "echo $0; while [ $0 = a ] && [ ! -e go ]; do sleep 0.01; done",
                 cwd=os.path.dirname(broker.directory)) as process:  # fmt: skip
        feed(process, b"a b c")
        assert line(process) == "a"
        waiting = eventually(lambda: _find(broker, "b"))
        aque("kill", str(waiting.id))
        open(os.path.join(os.path.dirname(broker.directory), "go"), "w").close()
        assert line(process) == "c"
        assert (process.wait(10), told(process)) == (123, "")


@pytest.mark.parametrize("earlier", [0.0, 0.4])  # before bells are heard, and after
def test_what_a_command_kills_before_it_ends_does_not_begin(broker, earlier):
    kill = f"sleep {earlier}; $1 -m aque.commands.kill $((AQUE_TID + 1)) >&2"
    command = f"[ $0 != a ] || {{ {kill}; }}; echo $0"
    argv = ("-I{}", "sh", "-c", command, "{}", sys.executable)
    done = runs.run(*argv, data=b"a\nb\nc\n")
    assert (done.stdout, done.status) == (b"a\nc\n", 123)
    assert runs.statuses(broker) == [states.SUCCESS, states.CANCELLED, states.SUCCESS]


def test_what_an_interrupted_run_says_leaves_out_what_there_is_none_of(broker):
    script = "[ $0 != a ] || exit 0; [ $0 != b ] || exit 1; echo run; exec sleep 60"
    with running("-n1", "--bar", "sh", "-c", script) as process:
        feed(process, b"a b c")
        assert line(process) == "run"
        process.send_signal(signal.SIGTERM)
        *_, shown, said = told(process).splitlines()
        assert shown.endswith("3 of 3 done, 1 failed, 1 cancelled")
        assert "; 1 command succeeded, 1 failed, 1 was cancelled (task 1); " in said


def test_a_signal_in_a_flood_of_short_commands_is_heeded(broker):
    with running("-n1", "-P8", "true") as process:
        feed(process, b"x " * 50_000)
        eventually(lambda: len(tasks(broker)[1]) > 100)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == -signal.SIGTERM


def test_aque_kill_of_the_group_ends_the_run(broker):
    with running("-n1", "-P2", "--bar", *SLEEP) as process:
        feed(process, b"a b c d")
        pids = [int(line(process)), int(line(process))]
        (group,) = eventually(lambda: broker.roots(0.0, None, None)[0])
        aque("kill", str(group.id))
        assert process.wait(10) == 125
        *_, shown, said = told(process).splitlines()
        rest = f"(task {group.id}); aque-xargs --resume {group.id} runs the rest"
        assert said == f"aque-xargs: killed; 4 commands were cancelled {rest}"
        assert shown.endswith("2 of 4 done, 2 cancelled")
        assert not any(map(is_there, pids))
        group, children = tasks(broker)
        assert [task.status for task in (group, *children)] == [states.CANCELLED] * 5


def test_a_command_retried_while_the_run_goes_on_runs_again(broker, tmp_path):
    script = "echo $0; [ $0 = a ] && [ ! -e ok ] && exit 1; while [ ! -e go ]; do sleep 0.01; done"
    with running("-n1", "-P1", "sh", "-c", script, cwd=tmp_path) as process:
        feed(process, b"a b")
        assert (line(process), line(process)) == ("a", "b")
        failed = eventually(lambda: _find(broker, "a", states.ERROR))
        (tmp_path / "ok").touch()
        aque("retry", str(failed.id))
        (tmp_path / "go").touch()
        assert line(process) == "a"
        assert process.wait(10) == 123  # it did fail
        group, children = tasks(broker)
        assert [task.status for task in (group, *children)] == [states.SUCCESS] * 3


@pytest.mark.parametrize("by", ["worker", "wait"])
def test_after_kill_9_the_next_command_closes_the_group(broker, by):
    with running("-n1", "-P2", *SLEEP) as process:
        feed(process, b"a b c d")
        pids = [int(line(process)), int(line(process))]
        (group,) = eventually(lambda: broker.roots(0.0, None, None)[0])
        eventually(lambda: len([t for t in broker.children(group.id, 9) if t.pid]) == 2)
        process.kill()
        process.wait(10)
        assert broker.fetch([group.id])[0].status == states.CREATING
        if by == "worker":
            aque("worker", "--to-end")
        else:
            aque("wait", str(group.id), status=None)
        _, children = tasks(broker)
        assert all(task.is_complete for task in children), children
        assert broker.fetch([group.id])[0].is_complete
        eventually(lambda: not any(map(is_there, pids)))


def _running(broker: Broker) -> Task | None:
    _, children = tasks(broker)
    return next((task for task in children if task.status == states.RUNNING), None)


def _find(broker: Broker, item: str, status: str = states.PENDING) -> Task | None:
    _, children = tasks(broker)
    wanted = [t for t in children if t.status == status and t.args and f'"{item}"]' in t.args]
    return wanted[0] if wanted else None
