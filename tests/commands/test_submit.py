"""aque-submit: what is typed comes to run as it was typed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import sysconfig
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from jobs import ended, fetch, in_namespace, is_listening, one_line, output, submit, work
from support import aque, eventually, started, started_worker

from aque import states, surroundings
from aque.brokers.base import Broker
from aque.queue import Queue

ODD = os.fsdecode(b"\xff-\xe9")


def submitted(*words: str, **options: object) -> int:
    """Submit by the command; it prints the id, and nothing else."""
    done = aque("submit", *words, **options)
    assert done.stderr in ("", b"")
    assert str(done.stdout if isinstance(done.stdout, str) else done.stdout.decode()).endswith("\n")
    return int(done.stdout)


def ran(broker: Broker, *words: str, **options: object) -> bytes:
    """Submit a command and run it; return what it wrote."""
    id = submitted(*words, **options)
    work(broker)
    assert fetch(broker, id).status == states.SUCCESS, fetch(broker, id).error
    return output(broker, id)


def test_a_command_runs_as_it_was_typed(broker: Broker) -> None:
    words = ["printf", "[%s]", "a b", "", "--name", "-x", "'", "*", "$HOME", "\n"]
    assert ran(broker, *words) == b"[a b][][--name][-x]['][*][$HOME][\n]"


def test_a_script_runs_by_the_shell_with_its_arguments(broker: Broker) -> None:
    assert ran(broker, "-s", 'echo "$0 $2 $1"; echo $((1+1))', "a", "b") == b"sh b a\n2\n"


def test_leading_settings_are_the_commands_environment(broker: Broker) -> None:
    text = 'echo "$A-$B-$C-$D"'
    words = ["--env", "C=3", "--env", "B=lost", "A=1", "B=x=y", "sh", "-c", text, "D=4"]
    assert ran(broker, *words, env={**os.environ, "D": "kept"}) == b"1-x=y-3-kept\n"


def test_a_clean_environment_has_only_what_was_set(broker: Broker) -> None:
    lines = ran(broker, "--clean-env", "A=1", "/usr/bin/env").decode().splitlines()
    names = {line.partition("=")[0] for line in lines}
    aques = {"AQUE_TID", "AQUE_ATTEMPT", "AQUE_SLOT", "AQUE_CPUS", "AQUE_BROKER", "AQUE_JOB"}
    assert names == {"A"} | aques


def test_where_and_under_what_umask_it_was_submitted_it_runs(
    broker: Broker, tmp_path: Path
) -> None:
    words = ["sh", "-c", "pwd; umask; echo > made"]
    here = {"cwd": str(tmp_path), "umask": 0o027}
    assert ran(broker, *words, **here) == f"{tmp_path}\n0027\n".encode()
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o640


def test_a_directory_can_be_given_and_is_taken_from_here(broker: Broker, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert ran(broker, "--cwd", "sub", "pwd", cwd=tmp_path) == f"{tmp_path}/sub\n".encode()


def test_bytes_that_are_not_text_go_through_everywhere(broker: Broker, tmp_path: Path) -> None:
    odd = tmp_path / ODD
    odd.mkdir()
    code = (
        "import os, sys\n"
        "for it in sys.argv[1], os.environ['X'], os.environ['Y'], os.getcwd(): os.write(1, "
        "os.fsencode(it) + b'\\n')"
    )
    words = ["--name", ODD, f"X={ODD}", sys.executable, "-c", code, ODD]
    env = {**os.environ, "Y": ODD + ODD}
    id = submitted(*words, cwd=str(odd), env=env, text=False)
    work(broker)
    raw = os.fsencode(ODD)
    assert output(broker, id) == b"\n".join([raw, raw, raw + raw, os.fsencode(odd), b""])
    assert fetch(broker, id).name == ODD


def test_standard_input_can_be_stored_or_a_file(broker: Broker, tmp_path: Path) -> None:
    data = bytes(range(256)) * 400
    id = submitted("--stdin", "-", "sha256sum", input=data, text=False)
    (tmp_path / "in").write_bytes(b"from a file")
    by_path = submitted("--stdin", str(tmp_path / "in"), "cat")
    work(broker)
    assert output(broker, id).split()[0] == hashlib.sha256(data).hexdigest().encode()
    assert output(broker, by_path) == b"from a file"


def test_a_fifo_makes_its_own_task_wait_and_nobody_else(broker: Broker, tmp_path: Path) -> None:
    fifo, out = tmp_path / "in", tmp_path / "out"
    os.mkfifo(fifo)
    os.mkfifo(out)
    with started_worker(broker):
        id = submitted("-c0", "--stdin", str(fifo), "--stdout", str(out), "tr", "a-z", "A-Z")
        other = submitted("-c0", "true")
        assert ended(broker, other).status == states.SUCCESS
        fifo.write_text("hello")
        assert out.read_text() == "HELLO"
        assert ended(broker, id).status == states.SUCCESS


def test_output_can_go_to_files(broker: Broker, tmp_path: Path) -> None:
    words = ["--stdout", "out", "--stderr", "err", "-s", "echo 1; echo 2 >&2"]
    assert ran(broker, *words, cwd=tmp_path) == b""
    assert ((tmp_path / "out").read_text(), (tmp_path / "err").read_text()) == ("1\n", "2\n")


def test_what_a_task_needs_is_on_its_record(broker: Broker) -> None:
    words = ["--name", "n", "--priority", "-3", "-c", "0.5", "--memory", "1.5G", "true"]
    task = fetch(broker, submitted(*words))
    assert (task.name, task.priority, task.cpus) == ("n", -3, 0.5)
    assert task.memory == 3 << 29
    assert task.status == states.PENDING
    half = fetch(broker, submitted("-c", "-2", "true"))
    assert half.cpus == len(os.sched_getaffinity(0)) / 2


def test_dependencies_are_selected_like_all_tasks(broker: Broker) -> None:
    first, second = submit(broker, "true"), submit(broker, "false")
    last = submitted("--after", "1", "--after-any", f"{first}-{second}", "true")
    kinds = {(edge.dependency, edge.kind) for edge in broker.edges([last])}
    assert kinds == {(first, "after"), (first, "after-any"), (second, "after-any")}
    work(broker)
    assert fetch(broker, last).status == states.SUCCESS


def test_an_environment_is_stored_once(broker: Broker, tmp_path: Path) -> None:
    ids = [submitted("true") for _ in range(2)]
    lines = "".join('["true"]\n' for _ in range(3))
    ids += [int(line) for line in aque("submit", "--from", "-", input=lines).stdout.split()]
    assert len({fetch(broker, id).environment for id in ids}) == 1
    assert fetch(broker, submitted("A=1", "true")).environment != fetch(broker, ids[0]).environment


def test_a_submit_from_inside_a_job_stores_nothing_of_the_job(broker: Broker) -> None:
    words = [sys.executable, "-m", "aque.commands.submit", "/usr/bin/env"]
    outer = submitted(*words)
    work(broker)
    inner = int(output(broker, outer))
    environment = fetch(broker, inner).environment
    assert environment is not None
    stored = {key for key in broker.environ(environment) if key.startswith("AQUE_")}
    assert stored == {"AQUE_BROKER"}
    task = fetch(broker, inner)
    lines = output(broker, inner).decode().splitlines()
    assert f"AQUE_TID={inner}" in lines
    assert task.status == states.SUCCESS


def test_json_shows_what_was_submitted(broker: Broker) -> None:
    (record,) = aque("submit", "--json", "--name", "n", "true").stdout.splitlines()
    shown = json.loads(record)
    assert (shown["id"], shown["status"], shown["name"]) == (1, "pending", "n")


# -w


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("exit 0", 0), ("exit 3", 3), ("exit 126", 126), ("kill -KILL $$", 137),
        ("kill -TERM $$", 143), ("exec /nowhere/at/all", 127),
    ],
)  # fmt: skip
def test_watch_shows_the_output_and_exits_as_the_task(
    broker: Broker, script: str, status: int
) -> None:
    with started_worker(broker):
        eventually(broker.workers)
        words = ["-w", "-s", f"echo out; echo err >&2; {script}"]
        done = aque("submit", *words, status=status)
    assert done.stdout == "out\n"
    assert done.stderr.startswith("aque-submit: task 1\nerr\n")
    aque("wait", "1", status=status)
    aque("output", "-w", "1", status=status)


def test_watch_says_what_could_not_be_run(broker: Broker) -> None:
    with started_worker(broker):
        aque("submit", "-w", "no-such-command", status=127)
        aque("submit", "-w", "/etc", status=126)


def test_watch_exits_as_the_cancelled_and_the_failed(broker: Broker) -> None:
    first = submit(broker, "true", cpus=10_000)
    words = [sys.executable, "-m", "aque.commands.submit", "-w", "--after", str(first), "true"]
    with started(words, stdout=subprocess.PIPE) as watcher:
        eventually(lambda: broker.existing(2, 2))
        Queue(broker).kill([first])
        assert watcher.wait(10) == 1
    aque("wait", str(first), status=125)


def test_an_interrupted_watch_leaves_the_task_alone(broker: Broker) -> None:
    words = [sys.executable, "-m", "aque.commands.submit", "-w", "sleep", "600"]
    pipe = subprocess.PIPE
    with started(words, stdout=pipe, stderr=pipe) as watcher:
        assert watcher.stderr is not None
        assert watcher.stderr.readline() == b"aque-submit: task 1\n"
        eventually(lambda: is_listening(watcher.pid))
        watcher.send_signal(signal.SIGINT)
        assert watcher.wait(10) == -signal.SIGINT
        assert watcher.stderr.read() == b""
    assert fetch(broker, 1).status == states.PENDING


# --from


def test_tasks_can_be_read_from_lines(broker: Broker, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("input")
    lines = [
        ["echo", "a b"],
        {"command": ["sh", "-c", "echo $X; pwd"], "env": {"X": "é"}, "cwd": str(tmp_path)},
        {"command": "echo script $((2+3))", "shell": True, "name": "by the shell"},
        {"command": ["cat"], "stdin": str(tmp_path / "in")},
        {"command": ["true"], "priority": 7, "cpus": 0.5, "memory": "1M", "clean_env": True},
        {"command": ["true"], "after": "1-2", "after_any": [3, "4"]},
        ["A=1", "sh", "-c", "echo $A"],
        {"command": ["echo", "\udcff"], "name": "\udc80", "env": {"B": "\udcff"}, "cpus": -2},
    ]
    for _ in range(4):
        submit(broker, "true")
    path = tmp_path / "lines"
    path.write_text("\n\n".join(map(json.dumps, lines)) + "\n")
    done = aque("submit", "--from", str(path), "--name", "of all")
    ids = [int(line) for line in done.stdout.split()]
    assert ids == list(range(5, 13))
    work(broker)
    tasks = broker.fetch(ids)
    assert {task.status for task in tasks} == {states.SUCCESS}
    assert [task.name for task in tasks[:3]] == ["of all", "of all", "by the shell"]
    assert (tasks[4].priority, tasks[4].cpus, tasks[4].memory) == (7, 0.5, 1 << 20)
    assert tasks[7].cpus == surroundings.count_cpus() / 2
    assert len(broker.edges(ids)) == 4
    written = [output(broker, id) for id in ids]
    assert written[:2] == [b"a b\n", f"é\n{tmp_path}\n".encode()]
    assert written[2:4] == [b"script 5\n", b"input"]
    assert written[6:] == [b"1\n", b"\xff\n"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "not JSON"),
        ("7", "write {"),
        ("[]", 'no "command"'),
        ('{"name": "x"}', 'no "command"'),
        ('{"command": ["x"], "nmae": "x"}', "no key 'nmae'"),
        ('{"command": [1]}', "'command' is a list of texts"),
        ('{"command": ["x"], "cpus": "two"}', "'cpus' is a number"),
        ('{"command": ["x"], "cpus": NaN}', "nan is no number of cpus"),
        ('{"command": ["x"], "cpus": -Infinity}', "-inf is no number of cpus"),
        ('{"command": ["x"], "priority": 1.5}', "'priority' is a whole number"),
        ('{"command": ["x"], "memory": "lots"}', "'lots' is no size"),
        ('{"command": ["x"], "env": {"A": 1}}', "'env' is an object"),
        ('{"command": ["x"], "env": {"": "1"}}', "is not KEY=VALUE"),
        ('{"command": ["x"], "after": "one"}', "'one' selects no tasks"),
        ('{"command": ["A=1"]}', "no command after"),
        ('{"command": ["x"], "stdin": "-"}', "name a file"),
        ('{"command": ["x"], "shell": 1}', "true or false"),
        ('["echo", "a\\u0000b"]', "a NUL byte in the argument"),
        ('["echo", "\\ud800"]', "half a character in the argument"),
        ('{"command": ["x"], "name": "\\udc00"}', "half a character in the name"),
        ('{"command": ["x"], "cwd": "/\\ud800"}', "half a character in the cwd"),
        ('{"command": ["x"], "env": {"A": "\\ud800"}}', "half a character in the environment"),
    ],
)
def test_a_bad_line_is_named_and_its_batch_is_not_kept(
    broker: Broker, line: str, words: str
) -> None:
    lines = f'["true"]\n\n{line}\n["true"]\n'
    done = aque("submit", "--from", "-", input=lines, status=2)
    assert done.stdout == ""
    one_line(done.stderr, "aque-submit: line 3: ", words)
    assert broker.existing(0, 100) == []


def test_an_unknown_id_in_a_line_is_named_and_not_a_usage_error(broker: Broker) -> None:
    lines = '["true"]\n{"command": ["x"], "after": 99}\n'
    done = aque("submit", "--from", "-", input=lines, status=1)
    one_line(done.stderr, "aque-submit: line 2: there is no task 99")
    assert broker.existing(0, 100) == []
    aque("submit", "--from", "-", input=lines + "oops\n", status=2)


def test_batches_before_a_bad_one_stay(broker: Broker) -> None:
    lines = ['["true"]'] * 1500 + ["oops"] + ["worse"] * 9
    done = aque("submit", "--from", "-", input="\n".join(lines), status=2)
    assert done.stdout.split() == [str(n) for n in range(1, 1001)]
    one_line(done.stderr, "line 1501: not JSON", "line 1505", "(and 5 more)")
    assert len(broker.existing(0, 10_000)) == 1000


def test_tasks_from_lines_are_one_document(broker: Broker) -> None:
    lines = '["true"]\n' * 1001
    done = aque("submit", "--json", "--from", "-", input=lines)
    assert [task["id"] for task in json.loads(done.stdout)] == list(range(1, 1002))
    done = aque("submit", "--json", "--from", "-", input=lines + "oops\n", status=2)
    assert [task["id"] for task in json.loads(done.stdout)] == list(range(1002, 2002))
    assert aque("submit", "--json", "--from", "-", input="").stdout == "[]\n"


def test_lines_from_many_tasks_can_be_watched_to_the_worst_end(broker: Broker) -> None:
    lines = '["sh", "-c", "echo a; exit 3"]\n["sh", "-c", "exit 5"]\n["true"]\n'
    with started_worker(broker):
        eventually(broker.workers)
        done = aque("submit", "-w", "--from", "-", input=lines, status=5)
    assert done.stdout == "a\n"
    one_line(done.stderr, "aque-submit: 3 tasks, 1 to 3")


def test_every_file_of_a_real_tree_goes_through_two_workers_once(broker: Broker) -> None:
    stdlib = Path(sysconfig.get_path("stdlib"))
    files = sorted(str(path) for path in stdlib.glob("*.py"))
    files += sorted(str(path) for path in (stdlib / "test").glob("test_[a-c]*.py"))
    files = files[:300]
    assert len(files) > 150
    lines = "".join(json.dumps(["sha256sum", file]) + "\n" for file in files)
    with started_worker(broker, "-c", "1"), started_worker(broker, "-c", "1"):
        eventually(lambda: len(broker.workers()) == 2)
        ids = [int(line) for line in aque("submit", "--from", "-", input=lines).stdout.split()]
        aque("wait", f"{ids[0]}-{ids[-1]}")
    shown = aque("output", f"{ids[0]}-{ids[-1]}", text=False).stdout
    expected = subprocess.run(["sha256sum", *files], stdout=subprocess.PIPE, check=True).stdout
    assert shown == expected
    tasks = broker.fetch(ids)
    assert {task.attempt for task in tasks} == {1}
    assert len({task.worker for task in tasks}) == 2


# Bad input


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "no command given"),
        (["A=1"], "no command after"),
        (["--from", "-", "echo"], "give none here"),
        (["--from", "/nonexistent", "--"], "cannot read /nonexistent"),
        (["--unknown", "echo"], "No such option"),
        (["-c", "two", "echo"], "no number of cpus"),
        (["-c", "inf", "echo"], "no number of cpus"),
        (["--memory", "-1", "echo"], "no size"),
        (["--memory", "9" * 30, "echo"], "it is a number from 0 to 92"),
        (["--memory", "9" * 400, "echo"], "too large"),
        (["--priority", "9" * 30, "echo"], "it is a whole number from -9223372036854775807 to 92"),
        (["--env", "novalue", "echo"], "is not KEY=VALUE"),
        (["--after", "x", "echo"], "selects no tasks"),
    ],
)
def test_what_makes_no_sense_is_refused_with_2(broker: Broker, words: list[str], says: str) -> None:
    done = aque("submit", *words, status=2)
    one_line(done.stderr, "aque-submit: ", says)
    assert done.stdout == ""
    assert broker.existing(0, 100) == []


def test_a_missing_dependency_is_named(broker: Broker) -> None:
    one_line(aque("submit", "--after", "9", "true", status=1).stderr, "there is no task 9")
    one_line(aque("submit", "--after", "9-12", "true", status=1).stderr, "no tasks 9-12")
    assert broker.existing(0, 100) == []


def test_a_full_disk_loses_no_task_and_says_so() -> None:
    script = """
    set -e
    mount -t tmpfs -o size=1M tmpfs "$1"
    export AQUE_BROKER=$1/queue.db
    "$2" -m aque.commands.submit echo kept
    head -c 2M /dev/zero > "$1/filler" 2>/dev/null || true
    status=0
    for n in 1 2 3 4 5 6 7 8; do
        head -c 100K /dev/zero | tr '\\0' x | "$2" -m aque.commands.submit --stdin - true || {
            status=$?; break
        }
    done
    echo "status $status"
    rm "$1/filler"
    "$2" -m aque.commands.submit echo again
    "$2" -m aque.commands.worker --to-end
    "$2" -m aque.commands.output 1
    """
    words = in_namespace("--mount")
    directory = os.environ["XDG_STATE_HOME"]
    Path(directory).mkdir(exist_ok=True)
    done = subprocess.run(
        [*words, "sh", "-c", script, "sh", directory, sys.executable],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "status 3" in done.stdout
    assert done.stdout.endswith("kept\n")
    one_line(done.stderr, "aque-submit: no room left to write to", "queue.db")


# When, where, and how often


def test_a_delayed_task_runs_when_it_is_due(broker: Broker) -> None:
    id = submitted("--delay", "0.5s", "true")
    due_at = fetch(broker, id).due_at
    assert due_at is not None
    work(broker)
    task = fetch(broker, id)
    assert task.status == states.SUCCESS
    assert (task.started_at or 0) >= due_at


def test_a_time_is_iso_8601_or_the_next_of_the_clock(broker: Broker) -> None:
    now = datetime.now()
    id = submitted("--at", "2099-01-31T23:30:00+00:00", "true")
    assert fetch(broker, id).due_at == 4073585400.0
    soon = (now + timedelta(minutes=5)).strftime("%H:%M")
    past = (now - timedelta(minutes=5)).strftime("%H:%M")
    for clock, first, last in ((soon, 200, 400), (past, 86000, 86300)):
        due_at = fetch(broker, submitted("--at", clock, "true")).due_at
        assert due_at is not None
        assert first <= due_at - now.timestamp() <= last


def test_what_is_not_due_is_left_by_a_worker(broker: Broker) -> None:
    id = submitted("--at", "2099-01-31", "true")
    with started_worker(broker):
        assert ended(broker, submit(broker, "true")).status == states.SUCCESS
        assert fetch(broker, id).status == states.PENDING


def test_a_task_for_another_host_or_platform_stays_pending(broker: Broker) -> None:
    elsewhere = submitted("--host", "no-such-host*", "true")
    other = submitted("--platform", "!linux,!darwin", "true")
    here = submitted("--host", "127.0.0.0/8,localhost", "--platform", sys.platform, "true")
    work(broker)
    found = [fetch(broker, id).status for id in (elsewhere, other, here)]
    assert found == [states.PENDING, states.PENDING, states.SUCCESS]


def test_a_child_has_what_its_parent_has(broker: Broker, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    words = ["--hold", "--priority", "7", "-c0", "--host", "*", "A=1", "B=2", "sh", "-c", "echo up"]
    parent = submitted(*words, cwd=tmp_path / "there")
    text = 'pwd; echo "$A-$B-$C"'
    under = ["--parent", str(parent)]
    plain = submitted("--parent", "last", "sh", "-c", text, env={**os.environ, "C": "not this"})
    changed = submitted(*under, "B=3", "sh", "-c", text, env={**os.environ, "C": "not this"})
    clean = submitted(*under, "--clean-env", "B=4", "sh", "-c", text)
    here = submitted(*under, "--cwd", str(tmp_path), "-c", "0.5", "--priority", "8", "pwd")
    aque("resume", str(parent))
    with started_worker(broker):
        assert ended(broker, parent).status == states.SUCCESS
    where = f"{tmp_path}/there\n"
    assert output(broker, plain).decode() == f"{where}1-2-\n"
    assert output(broker, changed).decode() == f"{where}1-3-\n"
    assert output(broker, clean).decode() == f"{where}-4-\n"
    assert output(broker, here).decode() == f"{tmp_path}\n"
    task = fetch(broker, plain)
    assert (task.parent, task.priority, task.cpus, task.host) == (parent, 7, 0.0, "*")
    task = fetch(broker, here)
    assert (task.priority, task.cpus, task.host) == (8, 0.5, "*")
    assert (fetch(broker, parent).started_at or 0) >= max(
        fetch(broker, id).ended_at or 0 for id in (plain, changed, clean, here)
    )


def test_a_failed_child_fails_its_parent(broker: Broker) -> None:
    parent = submitted("--hold", "true")
    child = int(
        aque("submit", "--from", "-", input='{"command": ["false"], "parent": "last"}').stdout
    )
    aque("resume", str(parent))
    work(broker)
    assert (fetch(broker, parent).status, fetch(broker, parent).cause) == (states.ERROR, child)


def test_all_that_is_asked_for_is_on_the_task(broker: Broker) -> None:
    broker.set_limits({"nuke": 9, "maya": 9})
    words = (
        "--timeout 1h --retries 3 --retry-delay 10s --memory 4G --limit nuke:2 --limit maya"
        " --limit nuke --duration 2m --host a*,!ab --platform linux --hold"
        " --keep-background true"
    )
    keys = {
        "timeout": "1h", "retries": 3, "retry_delay": "10s", "memory": "4G", "duration": 120,
        "limits": ["nuke:2", "maya", "nuke"], "host": "a*,!ab", "platform": "linux", "hold": True,
        "keep_background": True, "command": ["true"],
    }  # fmt: skip
    lines = aque("submit", "--from", "-", input=json.dumps(keys)).stdout
    for id in (submitted(*words.split()), int(lines)):
        task = fetch(broker, id)
        assert (task.timeout, task.retries, task.retry_delay) == (3600.0, 3, 10.0)
        assert task.keep_background
        assert (task.memory, task.duration, task.limits) == (4 << 30, 120.0, '{"maya":1,"nuke":3}')
        assert (task.host, task.platform, task.status) == ("a*,!ab", "linux", states.PAUSED)


def test_a_line_has_its_own_time(broker: Broker) -> None:
    lines = '{"command": "true", "at": "2099-01-31T23:30:00+00:00"}\n["true"]\n'
    ids = aque("submit", "--delay", "1h", "--from", "-", input=lines).stdout.split()
    one, two = (fetch(broker, int(id)).due_at for id in ids)
    assert one == 4073585400.0
    assert two is not None
    assert two < one


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--delay", "soon"),
        ("--delay", "-5"),
        ("--at", "25:00"),
        ("--at", "tomorrow"),
        ("--timeout", "0"),
        ("--timeout", "1x"),
        ("--retries", "-1"),
        ("--retries", "many"),
        ("--retries", "9" * 30),
        ("--retry-delay", "x"),
        ("--memory", "-1"),
        ("--memory", "4X"),
        ("--duration", "long"),
        ("--limit", "nuke:0"),
        ("--limit", "nuke:x"),
        ("--limit", "nuke:²"),
        ("--limit", ":2"),
        ("--limit", "unknown"),
        ("--host", "render["),
        ("--host", "10.0.0.0/99"),
        ("--platform", "a,"),
        ("--parent", "x"),
        ("-c", "nan"),
    ],
)
def test_a_bad_value_is_named_and_nothing_is_stored(
    broker: Broker, option: str, value: str
) -> None:
    broker.set_limits({"nuke": 9})
    done = aque("submit", option, value, "true", status=2)
    one_line(done.stderr, "aque-submit: ", value)
    assert not broker.search()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("delay", "soon"), ("at", "25:00"), ("timeout", -1), ("retries", -1), ("retries", 1.5),
        ("retry_delay", None), ("memory", "4X"), ("memory", -1), ("duration", "long"),
        ("limits", ["nuke:x"]), ("limits", ["unknown"]), ("host", "render["), ("platform", 3),
        ("parent", "x"), ("hold", "yes"),
    ],
)  # fmt: skip
def test_a_bad_value_in_a_line_is_named_and_nothing_is_stored(
    broker: Broker, key: str, value: object
) -> None:
    broker.set_limits({"nuke": 9})
    line = json.dumps({"command": "true", key: value})
    done = aque("submit", "--from", "-", input=f'["true"]\n{line}\n', status=2)
    named = value[0] if isinstance(value, list) else value
    line_number = "" if named == "unknown" else "line 2: "  # only the queue knows its limits
    one_line(done.stderr, f"aque-submit: {line_number}", str(named))
    assert not broker.search()


def test_a_delay_and_a_time_exclude_each_other(broker: Broker) -> None:
    one_line(aque("submit", "--delay", "1", "--at", "12:00", "true", status=2).stderr, "--at")
