"""Standard streams that are closed, full or gone: one line says so, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from jobs import fetch, one_line, submit, work
from support import aque

from aque.brokers.base import Broker
from aque.commands.umbrella import COMMANDS

NO_SPACE = "No space left on device"


#: Without a shell between: it gets the signals meant for it.
WORKER = f"{sys.executable} -m aque.commands.worker"


def shell(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script in which `aque` is each command, as `aque submit`."""
    aque = f'aque() {{ name=$1; shift; {sys.executable} -m aque.commands.$name "$@"; }}\n'
    words = ["bash", "-c", aque + text, "bash", *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_that_cannot_be_written_is_said_in_one_line(command: str) -> None:
    done = shell(f"aque {command} --help >/dev/full")
    assert done.returncode == 1
    one_line(done.stderr, f"aque-{command}: ", NO_SPACE)


@pytest.mark.parametrize("words", ["--help", "--version", ""])
def test_the_umbrellas_help_too(words: str) -> None:
    code = "import sys; from aque.commands import umbrella; sys.exit(umbrella.main(sys.argv[1:]))"
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >/dev/full', "sh", sys.executable, "-c", code, *words.split()],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    one_line(done.stderr, "aque: ", NO_SPACE)


@pytest.mark.parametrize("option", ["", "--json "])
@pytest.mark.parametrize(
    ("target", "reason"), [(">/dev/full", NO_SPACE), (">&-", "Bad file descriptor")]
)
def test_a_submit_that_cannot_print_says_that_the_task_is_stored(
    broker: Broker, option: str, target: str, reason: str
) -> None:
    done = shell(f"aque submit {option}true {target}")
    assert done.returncode == 1
    one_line(done.stderr, "aque-submit: task 1 is stored", reason)
    assert fetch(broker, 1).status == "pending"


def test_many_that_are_stored_and_cannot_be_printed_are_said(broker: Broker) -> None:
    lines = '["true"]\\n' * 3
    done = shell(f"printf '{lines}' | aque submit --from - >/dev/full")
    assert done.returncode == 1
    one_line(done.stderr, "aque-submit: tasks 1 to 3 are stored", NO_SPACE)
    assert len(broker.existing(0, 10)) == 3


@pytest.mark.parametrize(
    "words", ["status", "status --json 1", "output 1", "limit", "status --flat"]
)
def test_what_cannot_be_shown_is_said(broker: Broker, words: str) -> None:
    broker.set_limits({"nuke": 1})
    submit(broker, "echo", "hello")
    work(broker)
    done = shell(f"aque {words} >/dev/full")
    assert done.returncode == 1
    one_line(done.stderr, f"aque-{words.split()[0]}: ", NO_SPACE)


@pytest.mark.parametrize("target", ["/dev/full", "&-"])
def test_talk_that_nobody_hears_changes_no_exit_status(broker: Broker, target: str) -> None:
    id = submit(broker, "echo", "hello")
    work(broker, "-v")
    for words, status in (
        ("status no-such", 2), ("status 99", 1), ("retry -s 1", 0), ("worker -v --to-end", 0),
        (f"status; {WORKER} -v & aque submit -w sh -c 'exit 3'; s=$?; kill $!; wait; exit $s", 3),
        ("init --reset", 0), ("status", 0),
    ):  # fmt: skip
        done = shell(f"exec 2>{target}; aque {words}")
        assert done.returncode == status, (words, done)
    assert broker.existing(id, id) == []


def test_no_closed_stream_becomes_a_place_in_the_queue(broker: Broker, own_queue: str) -> None:
    """The first file opened would get its number, and what is printed would go into it."""
    for _ in range(3):
        shell("aque submit --no-such-option <&- >&- 2>&-")
        shell("aque submit false <&- >&- 2>&-; aque worker --one -v <&- >&- 2>&-")
        shell("aque status <&- >&- 2>&-")
    assert [fetch(broker, id).status for id in (1, 2, 3)] == ["error"] * 3
    assert aque("status", "--json", "--all").stdout.count('"id"') == 3
    assert Path(own_queue).read_bytes()[:15] == b"SQLite format 3"


def test_a_closed_standard_input_cannot_be_stored(broker: Broker) -> None:
    done = shell("aque submit --stdin - cat <&-")
    assert done.returncode == 1
    one_line(done.stderr, "aque-submit: ", "Bad file descriptor")
    assert broker.existing(0, 10) == []


def test_a_job_of_a_worker_without_streams_has_all_three(broker: Broker) -> None:
    id = submit(broker, "sh", "-c", "readlink /proc/self/fd/0; echo out; echo err >&2")
    shell("aque worker --one <&- >&- 2>&-")
    assert aque("output", str(id)).stdout == "/dev/null\nout\n"
    assert aque("output", str(id)).stderr == "err\n"
