"""-p asks at the terminal, as GNU xargs does."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path

import pytest
from support import aque
from xargs import gnu, pair, runs

from aque import states
from aque.brokers.base import Broker

DEADLINE = 20.0


def converse(program: str, arguments: str, answers: list[bytes]) -> tuple[bytes, int]:
    """Run a program on a terminal of its own, answering each question; return what it showed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe("sh", ["sh", "-c", f"echo a b c | {program} {arguments}"], pair.environ())
    shown, until = b"", time.monotonic() + DEADLINE
    left = list(answers)
    while time.monotonic() < until:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                data = os.read(terminal, 4096)
            except OSError:
                break
            shown += data
        if left and shown.count(b"?...") > len(answers) - len(left):
            os.write(terminal, left.pop(0))
    os.close(terminal)
    return shown, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize(
    ("arguments", "answers"),
    [
        ("-p -n1 echo", [b"y\n", b"n\n", b"Yes\n"]),
        ("-p -n1 -t sh -c 'exit 3'", [b"n\n", b"y\n", b"\n"]),
        ("-pr -n2 echo '$x'", [b"no\n", b"y\n"]),
        ("-on2 sh -c 'printf ?.%s ..; read x; echo $0 $x; tty'", [b"one\n", b"two\n"]),
        ("-op -n1 sh -c 'printf ?.%s ..; read x; echo $x'", [b"y\n", b"x\n", b"n\n", b"n\n"]),
        ("-n1 sh -c 'printf ?.%s ..; read x || echo $0 none'", []),
    ],
)
def test_each_command_is_asked_for_as_by_gnu_xargs(broker: Broker, arguments, answers):
    (theirs, status), (ours, our_status) = (
        converse(program, arguments, answers) for program in (gnu.path(), " ".join(pair.OURS))
    )
    assert re.sub(rb"/dev/pts/\d+", b"tty", ours) == re.sub(rb"/dev/pts/\d+", b"tty", theirs)
    assert our_status == status


def test_what_was_declined_is_no_failure_and_is_not_asked_for_again(broker: Broker):
    program = " ".join(pair.OURS)
    assert converse(program, "-p -n1 sh -c 'exit 0'", [b"n\n", b"y\n", b"n\n"])[1] == 0
    assert runs.group(broker).status == states.SUCCESS
    assert [task.error for task in runs.children(broker)] == ["declined", None, "declined"]
    assert re.findall("declined|took", aque("status", "1").stdout) == [
        "declined",
        "took",
        "declined",
    ]
    assert runs.run("--resume=1") == pair.Outcome(b"", b"", 0)


@pytest.mark.parametrize("given", ["--resume last -p", "--resume last -p </dev/null"])
def test_what_is_run_again_is_asked_for_too(broker: Broker, tmp_path: Path, given: str):
    script = f"[ -e {tmp_path}/ok ] && echo ran $0"
    assert runs.run("-n1", "sh", "-c", script, data=b"a b c").status == 123
    (tmp_path / "ok").touch()
    program = " ".join(pair.OURS)
    shown, status = converse(program, given, [b"n\n", b"y\n", b"n\n"])
    assert (status, shown.count(b"?...")) == (0, 3)
    assert re.findall(rb"ran \w", shown) == [b"ran b"]
    assert [task.attempt for task in runs.children(broker)] == [2, 2, 2]


def test_without_a_terminal_nothing_is_run():
    outcomes = []
    for words in ([gnu.path()], [*pair.OURS]):
        done = subprocess.run(
            [*words, "-p", "echo"], input=b"a", capture_output=True, start_new_session=True,
            env=pair.environ(), check=False, timeout=30,
        )  # fmt: skip
        told = done.stderr.replace(b"aque-", b"").replace(gnu.path().encode(), b"xargs")
        outcomes.append((done.stdout, told, done.returncode))
    assert outcomes[0] == outcomes[1]
