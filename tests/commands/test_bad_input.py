"""Whatever is wrong: one line on standard error that says what to do, and the right status."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from jobs import CHECKOUT, fetch, in_namespace, is_listening, one_line, output, submit, work
from support import aque, eventually, started

from aque.brokers.base import Broker

#: Each command with what it needs to get as far as the queue.
COMMANDS = {
    "init": [],
    "kill": ["1"],
    "output": ["1"],
    "retry": ["1"],
    "rm": ["1"],
    "status": [],
    "submit": ["true"],
    "wait": ["1"],
    "worker": ["--to-end"],
}
TAKE_IDS = ("kill", "output", "retry", "rm", "wait")
NOBODY = 65534

each_command = pytest.mark.parametrize("command", sorted(COMMANDS))
each_taker = pytest.mark.parametrize("command", TAKE_IDS)


def refused(command: str, *words: str, status: int, **options: object) -> str:
    done = aque(command, *words, status=status, **options)
    one_line(done.stderr, f"aque-{command}: ")
    assert done.stdout == ""
    return str(done.stderr)


@each_taker
def test_an_unknown_id_is_named(broker: Broker, command: str) -> None:
    submit(broker, "true")
    assert "there is no task 99" in refused(command, "99", status=1)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("90-99", "there are no tasks 90-99"),
        ("1", "there is no task 1"),
        ("last", "no tasks"),
        ("9" * 40, "no task 9"),
    ],
)
def test_what_is_not_there_is_named(broker: Broker, word: str, says: str) -> None:
    assert says in refused("wait", word, status=1)


@each_taker
def test_in_an_empty_queue_there_is_nothing_to_select(broker: Broker, command: str) -> None:
    assert "there are no tasks" in refused(command, "all", status=1)


@pytest.mark.parametrize("word", ["one", "1-", "", "1..3", "7x"])
def test_what_selects_nothing_is_a_usage_error(broker: Broker, word: str) -> None:
    assert "write 7, 3-9, 1,4,8-10, last or all" in refused("kill", word, status=2)


def test_tasks_after_the_watch_of_status_are_told_where_they_belong(broker: Broker) -> None:
    said = refused("status", "--watch", "last", status=2)
    assert "takes seconds, not 'last'; tasks come before it: aque-status last --watch" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("submit -w --json true", "--watch and --json exclude each other"),
        ("submit --retry-delay 1 true", "--retry-delay is between --retries"),
        ("kill --signal-only --grace 1 7", "--signal-only and --grace exclude each other"),
        ("limit --json nuke=3", "--json is how limits are listed"),
        ("worker --one --slots 2", "--one and --slots exclude each other"),
        ("worker -v -q", "--verbose and --quiet exclude each other"),
    ],
)
def test_an_option_that_another_makes_senseless_is_refused(words: str, says: str) -> None:
    command, *rest = words.split()
    assert says in refused(command, *rest, status=2)


@each_taker
def test_no_ids_at_all_is_a_usage_error(broker: Broker, command: str) -> None:
    refused(command, status=2)


@each_command
def test_an_unknown_option_is_a_usage_error(broker: Broker, command: str) -> None:
    assert f"aque-{command} --help" in refused(command, "--no-such-option", status=2)


@each_command
def test_a_broker_that_does_not_exist_is_a_usage_error(command: str) -> None:
    words = ["--broker", "ftp://host/queue", *COMMANDS[command]]
    assert "use sqlite:///path" in refused(command, *words, status=2)


@each_command
def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, command: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but more than a hundred bytes long\n" * 50)
    said = refused(command, "--broker", str(path), *COMMANDS[command], status=3)
    assert str(path) in said
    assert "--broker" in said
    assert path.read_text().startswith("not a database")


def test_a_database_that_is_no_queue_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE other (x)")
    connection.close()
    before = path.read_bytes()
    said = refused("submit", "--broker", str(path), "true", status=3)
    assert "not an aque queue" in said
    assert path.read_bytes() == before


@each_command
def test_a_directory_is_no_queue(tmp_path: Path, command: str) -> None:
    said = refused(command, "--broker", str(tmp_path), *COMMANDS[command], status=3)
    assert "is a directory" in said


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"init", "submit", "worker"}))
def test_a_queue_that_was_named_and_is_not_there_is_not_made(tmp_path: Path, command: str) -> None:
    path = tmp_path / "no.db"
    said = refused(command, "--broker", str(path), *COMMANDS[command], status=3)
    assert f"there is no queue at {path}" in said
    assert not path.exists()


@each_command
def test_a_place_where_nothing_can_be_made(command: str) -> None:
    said = refused(command, "--broker", "/proc/aque/queue.db", *COMMANDS[command], status=3)
    assert "/proc/aque" in said


# As somebody else


@cache
def can_run(words: tuple[str, ...]) -> bool:
    done = subprocess.run([*words, "-c", "import aque.commands"], check=False, capture_output=True)
    return done.returncode == 0


def as_nobody(command: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user who has no rights here; skip where that cannot be.

    It may read everything, since the interpreter may lie in somebody's home, but write nothing.
    """
    may_read = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    nobody = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    nobody += [*may_read, sys.executable]
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv here")
    if not can_run(tuple(nobody)):
        pytest.skip("the system refuses to become another user")
    return subprocess.run(
        [*nobody, "-m", f"aque.commands.{command}", *words],
        cwd="/", capture_output=True, text=True, check=False,
    )  # fmt: skip


@each_command
def test_a_queue_of_another_user_is_refused(tmp_path: Path, command: str) -> None:
    path = tmp_path / "queue.db"
    aque("init", "--broker", str(path))
    os.chmod(path, 0o666)
    done = as_nobody(command, "--broker", str(path), *COMMANDS[command])
    assert done.returncode == 3, done
    one_line(done.stderr, f"aque-{command}: {path} belongs to user", "--broker")


@pytest.mark.parametrize("command", ["init", "submit", "worker"])
def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path, command: str) -> None:
    directory = tmp_path / "closed"
    directory.mkdir()
    done = as_nobody(command, "--broker", str(directory / "queue.db"), *COMMANDS[command])
    assert done.returncode == 3, done
    one_line(done.stderr, f"aque-{command}: ", str(directory), "--broker")


def test_a_queue_that_can_only_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "theirs" / "queue.db"
    path.parent.mkdir()
    os.chown(path.parent, NOBODY, NOBODY)
    made = as_nobody("submit", "--broker", str(path), "true")
    assert made.stdout == "1\n", made
    os.chown(path.parent, 0, 0)
    for beside in path.parent.iterdir():
        beside.chmod(0o555 if beside.is_dir() else 0o444)
    done = as_nobody("submit", "--broker", str(path), "true")
    assert done.returncode == 3, done
    one_line(done.stderr, "aque-submit: ", str(path.parent))


# Standard output and signals


def shell(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = ["bash", "-c", text, "bash", sys.executable, *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


def test_a_closed_pipe_ends_a_command_quietly(broker: Broker) -> None:
    id = submit(broker, "seq", "200000")
    lines = '["true"]\n' * 5000
    work(broker)
    reader = '"$1" -m aque.commands.output {} | head -1; echo "${{PIPESTATUS[0]}}"'
    for option in ("", "-w"):
        done = shell(reader.format(f"{option} {id}"))
        assert (done.stdout, done.stderr) == ("1\n141\n", "")
    writer = 'printf "$2" | "$1" -m aque.commands.submit --from - | head -1; '
    writer += 'echo "${PIPESTATUS[1]}"'
    done = shell(writer, lines)
    first, status = done.stdout.split()
    assert (first, done.stderr) == ("2", "")
    assert status in ("0", "141")  # all of it may have gone into the pipe
    assert len(broker.existing(2, 10**6)) in (1000, 2000, 3000, 4000, 5000)


def test_a_full_standard_output_is_said(broker: Broker) -> None:
    done = shell('"$1" -m aque.commands.submit true > /dev/full')
    assert done.returncode == 1
    one_line(done.stderr, "aque-submit: ", "No space left on device")
    assert len(broker.existing(0, 10)) == 1


@pytest.mark.parametrize("command", ["wait", "output"])
def test_an_interrupt_ends_a_command_by_the_signal(broker: Broker, command: str) -> None:
    id = submit(broker, "true")
    options = ["-w"] if command == "output" else []
    words = [sys.executable, "-m", f"aque.commands.{command}", *options, str(id)]
    with started(words, stderr=subprocess.PIPE) as process:
        eventually(lambda: is_listening(process.pid))
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == -signal.SIGINT
        assert process.stderr is not None
        said = process.stderr.read()
    assert b"Traceback" not in said
    assert fetch(broker, id).status == "pending"


# A full disk

FULL = """
set -e
mount -t tmpfs -o size=2M tmpfs "$1"
export AQUE_BROKER=$1/queue.db
python=$2
full="until [ -e $3/full ]; do sleep 0.01; done"
"$python" -m aque.commands.worker 2> "$3/said" &
worker=$!
first=$("$python" -m aque.commands.submit true)
"$python" -m aque.commands.wait $first
big=$("$python" -m aque.commands.submit -c0 -s "echo begin; $full; seq 1 100000; echo end; exit 7")
small=$("$python" -m aque.commands.submit -c0 -s "$full; echo hi")
until "$python" -m aque.commands.output $big | grep -q begin; do :; done
dd if=/dev/zero of="$1/filler" bs=4k 2> /dev/null || true
touch "$3/full"
until grep -q "trying again\\|waits" "$3/said"; do sleep 0.02; done
sleep 0.3
kill -0 $worker
rm "$1/filler"
"$python" -m aque.commands.wait $small
status=0; "$python" -m aque.commands.wait $big || status=$?
echo "status $status"
"$python" -m aque.commands.output $small
"$python" -m aque.commands.output $big > "$3/out"
endless=$("$python" -m aque.commands.submit -c0 -s "yes; sleep 600")
until "$python" -m aque.commands.status --why $endless | tee "$3/why" | grep -q waits; do :; done
"$python" -m aque.commands.kill $endless
"$python" -m aque.commands.output $endless | tail -n 1
kill $worker
wait $worker
"""


def test_a_worker_waits_while_the_disk_is_full_and_loses_nothing(tmp_path: Path) -> None:
    words = in_namespace("--mount")
    queue, beside = tmp_path / "queue", tmp_path / "beside"
    queue.mkdir()
    beside.mkdir()
    done = subprocess.run(
        [*words, "bash", "-c", FULL, "bash", str(queue), sys.executable, str(beside)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    said = (beside / "said").read_text()
    assert done.returncode == 0, (done.stdout, done.stderr, said)
    given_up = "[aque: the rest found no room on the disk]"
    assert done.stdout == f"status 7\nhi\n{given_up}\n", (done.stderr, said)
    expected = "begin\n" + "".join(f"{n}\n" for n in range(1, 100_001)) + "end\n"
    assert (beside / "out").read_text() == expected
    assert 1 <= said.count("output of task") <= 2  # another trouble may have come in between
    assert "aque-kill" in said
    assert "Traceback" not in said
    waits = f"what it writes waits: the disk of {queue}/queue.db.d/output/4-1-stdout"
    assert waits in (beside / "why").read_text()


def test_a_worker_that_can_make_nothing_beside_its_queue_says_so(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    aque("init", "--broker", str(path))
    (tmp_path / "queue.db.d" / "workers").write_text("in the way")
    assert "queue.db.d" in refused("worker", "--broker", str(path), "--to-end", status=3)


# Names


def test_each_command_is_a_program_and_a_subcommand(broker: Broker) -> None:
    for command in COMMANDS:
        program = CHECKOUT / "bin" / f"aque-{command}"
        for words in ([str(program)], [str(CHECKOUT / "bin" / "aque"), command]):
            done = subprocess.run(
                [*words, "--help"], capture_output=True, text=True, check=False, cwd="/"
            )
            assert (done.returncode, done.stderr) == (0, ""), words
            assert done.stdout.startswith(f"Usage: aque-{command} ")


def test_an_error_of_a_subcommand_names_the_command(broker: Broker) -> None:
    words = [sys.executable, str(CHECKOUT / "bin" / "aque"), "wait", "99"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    one_line(done.stderr, "aque-wait: there is no task 99")
    assert output(broker, submit(broker, "true")) == b""


def test_h_is_help() -> None:
    assert aque("wait", "-h").stdout == aque("wait", "--help").stdout
