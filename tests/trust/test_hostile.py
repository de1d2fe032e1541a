"""Hostile names, arguments and output: kept byte for byte, and harmless when shown."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jobs import ended, fetch, one_line, output, script, submit, work
from support import aque

from aque.brokers.base import Broker
from aque.errors import UsageError
from aque.queue import Queue

#: Clears the screen, sets its title, asks it to answer, hides, rings, and goes back over the line.
ESCAPES = "\x1b[2J\x1b]0;owned\x07\x1b[6n\x9b31m\x08\r\n\x7f\u202e"
BYTES = b"caf\xe9 \xff\xfe \x80"
ODD = os.fsdecode(BYTES)


def on_terminal(*words: str) -> bytes:
    """Run an aque command on a terminal; return all that it sends there."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", f"aque.commands.{words[0]}", *words[1:]]
    environ = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "xterm"}
    with subprocess.Popen(command, stdout=follower, stderr=follower, env=environ) as process:
        os.close(follower)
        sent = b""
        try:
            while data := os.read(leader, 65536):
                sent += data
        except OSError:  # how a pseudo terminal says that nobody has it open any more
            pass
    os.close(leader)
    assert process.returncode == 0, sent
    return sent


@pytest.mark.parametrize(
    "words", [("status",), ("status", "--flat"), ("status", "--why", "1"), ("doctor",)]
)
def test_nothing_that_a_task_is_called_reaches_the_terminal_raw(
    broker: Broker, words: tuple[str, ...]
) -> None:
    queue = Queue(broker)
    queue.submit_ex(pattern="shell", args=["echo", ESCAPES], cpus=1e6)
    for fields in ({"name": ESCAPES}, {"stdout": f"/{ESCAPES}"}, {"cwd": f"/nowhere{ESCAPES}"}):
        queue.submit_ex(pattern="shell", args=["true", ODD], **fields)
    script(broker, f"echo '{ESCAPES}' >&2; false")
    work(broker)
    sent = on_terminal(*words)
    text = sent.replace(b"\r\n", b"").decode()
    assert text.isprintable(), sent
    assert words[0] == "doctor" or "x1b[2J" in text


def test_bytes_that_are_no_text_are_kept(broker: Broker, tmp_path: Path) -> None:
    place = tmp_path / ODD
    place.mkdir()
    (place / "in").write_bytes(BYTES)
    code = (
        "import os, sys; sys.stdout.buffer.write(b'|'.join(["
        "os.fsencode(sys.argv[1]), os.environb[b'KEY'], os.getcwdb(), sys.stdin.buffer.read()]))"
    )
    words = [
        "--cwd", os.fsencode(place), "--name", BYTES, "--stdin", os.fsencode(place / "in"),
        "--stdout", os.fsencode(place / ODD), b"KEY=" + BYTES, sys.executable, "-c", code, BYTES,
    ]  # fmt: skip
    submitted = [sys.executable, "-m", "aque.commands.submit", *words]
    id = int(subprocess.run(submitted, check=True, capture_output=True).stdout)
    work(broker)
    assert fetch(broker, id).status == "success", output(broker, id, "stderr")
    told = (place / ODD).read_bytes()
    assert told == b"|".join([BYTES, BYTES, os.fsencode(place), BYTES])
    assert fetch(broker, id).name == ODD
    shown = aque("status", "--format", "{name}", str(id), text=False).stdout
    assert shown == BYTES + b"\n"


def test_output_is_passed_on_untouched(broker: Broker) -> None:
    raw = bytes(range(256)) * 3
    id = submit(broker, "cat", stdin="-", stdin_value=raw)
    work(broker)
    assert aque("output", str(id), text=False).stdout == raw


@pytest.mark.parametrize("whole", [True, False])
def test_a_megabyte_of_arguments(broker: Broker, whole: bool) -> None:
    """One argument so large no system starts; many that are as large together, it does."""
    words = ["x" * (1 << 20)] if whole else ["x" * 100_000] * 10
    line = json.dumps({"command": ["sh", "-c", "echo $#", "sh", *words]})
    id = int(aque("submit", "--from", "-", input=line).stdout)
    work(broker)
    task = ended(broker, id)
    if whole:
        assert (task.status, task.exit_status) == ("error", 126)
        assert "Argument list too long" in str(task.error)
    else:
        assert output(broker, id) == b"10\n"
    assert len(aque("status", "--all-users").stdout) < 6000


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"command": ["true", "a\0b"]}, "NUL byte in the argument 'a\\x00b'"),
        ({"command": ["tr\0ue"]}, "NUL byte in the argument"),
        ({"command": ["true"], "env": {"A": "\0"}}, "NUL byte in the environment"),
        ({"command": ["true"], "env": {"A\0": "1"}}, "NUL byte in the environment"),
        ({"command": ["true"], "cwd": "/tmp\0"}, "NUL byte in the cwd"),
        ({"command": ["true"], "stdout": "/tmp/\0"}, "NUL byte in the stdout"),
        ({"command": ["true"], "stderr": "\0"}, "NUL byte in the stderr"),
        ({"command": ["true"], "stdin": "\0"}, "NUL byte in the stdin"),
        ({"command": ["true"], "name": "\0"}, "NUL byte in the name"),
        ({"command": [""]}, "the name of a command cannot be empty"),
        ({"command": ["", "x"]}, "the name of a command cannot be empty"),
    ],
)
def test_what_cannot_be_started_is_refused_at_submit(
    broker: Broker, fields: dict[str, Any], says: str
) -> None:
    lines = json.dumps(["true"]) + "\n" + json.dumps(fields)
    done = aque("submit", "--from", "-", input=lines, status=2)
    one_line(done.stderr, "aque-submit: line 2: ", says)
    assert broker.existing(0, 100) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"args": 5}, {"args": "true"}, {"args": []}, {"args": ["true", 7]}, {"args": [None]},
        {"args": ["true"], "kwargs": 5}, {"args": ["true"], "environ": {"": "x"}},
        {"args": ["true"], "environ": {"A=B": "x"}}, {"args": ["true"], "environ": {"A": 1}},
        {"args": ["true"], "environ": 5}, {"args": ["true"], "user": "no-such-user"},
    ],
)  # fmt: skip
def test_a_program_is_told_which_field_is_wrong(broker: Broker, fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as refused:
        Queue(broker).submit_ex(pattern="shell", **fields)
    assert "\n" not in str(refused.value)


def test_an_empty_command_or_script_is_refused(broker: Broker) -> None:
    one_line(aque("submit", "", status=2).stderr, "the name of a command cannot be empty")
    one_line(aque("submit", "-s", " ", status=2).stderr, "the script is empty")
    assert broker.existing(0, 99) == []


@pytest.mark.parametrize("command", ["status", "kill", "doctor"])
def test_an_empty_file_is_not_made_a_queue_by_who_only_looks(tmp_path: Path, command: str) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    words = ["1"] if command == "kill" else []
    done = aque(command, "--broker", str(path), *words, status=None)
    assert done.returncode == (1 if command == "doctor" else 3)
    assert f"aque-init --broker {path} makes one" in done.stderr + done.stdout
    assert path.stat().st_size == 0
    assert list(tmp_path.glob("empty.db*")) == [path]
