"""What jobs write is kept byte for byte, while they run and after, small and large."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jobs import ended, fetch, is_alive, output, read_pid, running, script, submit, work
from support import aque, eventually, prototype, python, started, started_worker

from aque import errors, states
from aque.brokers.base import Broker

#: Writes N bytes that tell where they stand, as fast as it can.
BULK = """
import sys
n = int(sys.argv[1])
line = b"".join(b"%015d\\n" % i for i in range(4096))
out = sys.stdout.buffer
for at in range(0, n, len(line)):
    out.write(line[:n - at])
out.flush()
"""


def bulk(size: int) -> bytes:
    return subprocess.run(
        [sys.executable, "-c", BULK, str(size)], stdout=subprocess.PIPE, check=True
    ).stdout


def read(*arguments: str) -> tuple[bytes, bytes]:
    done = aque("output", *arguments, text=False)
    return done.stdout, done.stderr


def test_the_streams_are_kept_apart_and_in_order(broker: Broker) -> None:
    id = script(broker, "for i in 1 2 3; do echo out $i; echo err $i >&2; done")
    work(broker)
    assert output(broker, id) == b"out 1\nout 2\nout 3\n"
    assert output(broker, id, "stderr") == b"err 1\nerr 2\nerr 3\n"
    assert read(str(id)) == (b"out 1\nout 2\nout 3\n", b"err 1\nerr 2\nerr 3\n")
    assert read("--stderr", str(id)) == (b"err 1\nerr 2\nerr 3\n", b"")
    assert read("--stdout", str(id)) == (b"out 1\nout 2\nout 3\n", b"")


def test_bytes_are_left_as_they_are(broker: Broker) -> None:
    code = "import os; os.write(1, bytes(range(256)) * 3); os.write(2, b'\\xff\\0\\r\\n')"
    id = submit(broker, sys.executable, "-c", code)
    work(broker)
    assert read(str(id)) == (bytes(range(256)) * 3, b"\xff\0\r\n")


def test_a_command_that_writes_nothing_has_no_output(broker: Broker) -> None:
    id = submit(broker, "true")
    work(broker)
    assert broker.output(id, 1) == []
    assert read(str(id)) == (b"", b"")


@pytest.mark.parametrize("size", [65535, 65536, 65537, 200_000, 20_000_000])
def test_output_of_any_size_comes_back_whole(broker: Broker, size: int) -> None:
    id = submit(broker, sys.executable, "-c", BULK, str(size))
    work(broker)
    stored = output(broker, id)
    assert len(stored) == min(size, 65536)
    path = Path(broker.output_path(id, 1, "stdout"))
    assert path.exists() == (size > 65536)
    assert digest(read(str(id))[0]) == digest(bulk(size))
    assert digest(read("-w", str(id))[0]) == digest(bulk(size))


def digest(data: bytes) -> tuple[int, str]:
    return len(data), hashlib.sha256(data).hexdigest()


def test_both_streams_may_be_large_at_once(broker: Broker) -> None:
    code = BULK + "sys.stderr.buffer.write(line * 4)\n"
    id = submit(broker, sys.executable, "-c", code, "300000")
    work(broker)
    out, err = read(str(id))
    assert digest(out) == digest(bulk(300_000))
    assert digest(err) == digest(bulk(65536) * 4)


def test_past_the_limit_head_and_tail_are_kept_and_the_rest_is_counted(broker: Broker) -> None:
    aque("init", "--set", "output-inline=1K", "--set", "output-limit=10K")
    id = submit(broker, sys.executable, "-c", BULK, "100000")
    work(broker)
    out, _ = read(str(id))
    missing = b"\n[aque: 89760 bytes are missing here]\n"
    assert out == bulk(5120) + missing + bulk(100_000)[-5120:]
    assert read("-w", str(id))[0] == out


def test_what_is_as_large_as_the_limit_is_kept_whole(broker: Broker) -> None:
    aque("init", "--set", "output-inline=1K", "--set", "output-limit=10K")
    whole, cut = (submit(broker, sys.executable, "-c", BULK, size) for size in ("10240", "10241"))
    work(broker)
    assert read(str(whole))[0] == bulk(10240)
    assert b"\n[aque: 1 bytes are missing here]\n" in read(str(cut))[0]


def test_the_tail_of_a_large_output_outlives_a_reload(broker: Broker, tmp_path: Path) -> None:
    aque("init", "--set", "output-inline=1K", "--set", "output-limit=10K")
    gate = tmp_path / "gate"
    code = BULK + (
        "import os, time\n"
        "open(sys.argv[2] + '.written', 'w')\n"
        "while not os.path.exists(sys.argv[2]): time.sleep(0.01)\n"
        "print('the last words')"
    )
    id = submit(broker, sys.executable, "-c", code, "60000", str(gate))
    with started_worker(broker, "-v", stderr=subprocess.PIPE) as worker:
        eventually((tmp_path / "gate.written").exists)
        worker.send_signal(signal.SIGHUP)
        assert worker.stderr is not None
        while b"reloaded" not in worker.stderr.readline():
            pass
        gate.touch()
        ended(broker, id)
    everything = bulk(60_000) + b"the last words\n"
    missing = b"\n[aque: %d bytes are missing here]\n" % (len(everything) - 10240)
    assert read(str(id))[0] == everything[:5120] + missing + everything[-5120:]


def test_large_output_that_was_deleted_is_said_to_be_gone(broker: Broker) -> None:
    id = submit(broker, sys.executable, "-c", BULK, "100000")
    work(broker)
    os.unlink(broker.output_path(id, 1, "stdout"))
    out, err = read(str(id))
    assert out == bulk(65536)
    assert b"is gone" in err
    assert err.count(b"\n") == 1


def test_large_output_goes_with_its_task(broker: Broker) -> None:
    id = submit(broker, sys.executable, "-c", BULK, "100000")
    work(broker)
    aque("rm", str(id))
    assert not Path(broker.output_path(id, 1, "stdout")).exists()


def test_a_follower_sees_output_while_the_task_runs(broker: Broker, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    text = f"echo one; echo two >&2; until [ -e {gate} ]; do sleep 0.01; done; echo three"
    id = script(broker, text)
    words = [sys.executable, "-m", "aque.commands.output", "-w", str(id)]
    pipe = subprocess.PIPE
    with started_worker(broker), started(words, stdout=pipe, stderr=pipe) as follower:
        assert follower.stdout is not None
        assert follower.stderr is not None
        assert follower.stdout.readline() == b"one\n"
        assert follower.stderr.readline() == b"two\n"
        assert fetch(broker, id).status == states.RUNNING
        gate.touch()
        assert follower.stdout.read() == b"three\n"
        assert follower.wait(10) == 0


def test_a_follower_sees_large_output_while_the_task_runs(broker: Broker, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    code = BULK + "import os, time\nwhile not os.path.exists(sys.argv[2]): time.sleep(0.01)"
    id = submit(broker, sys.executable, "-c", code, "1000000", str(gate))
    words = [sys.executable, "-m", "aque.commands.output", "-w", str(id)]
    with started_worker(broker), started(words, stdout=subprocess.PIPE) as follower:
        assert follower.stdout is not None
        assert digest(follower.stdout.read(1_000_000)) == digest(bulk(1_000_000))
        assert fetch(broker, id).status == states.RUNNING
        gate.touch()
        assert follower.stdout.read() == b""
        assert follower.wait(10) == 0


# What is left behind


@pytest.mark.parametrize("way", ["", "setsid "], ids=["in its session", "in its own session"])
def test_a_job_that_leaves_a_process_holding_its_pipe_ends_soon(
    broker: Broker, tmp_path: Path, way: str
) -> None:
    pid_file = tmp_path / "pid"
    text = f"{way}sh -c 'echo $$ > {pid_file}; exec sleep 600' & sleep 0.1; echo done"
    with started_worker(broker):
        began = time.monotonic()
        id = script(broker, text)
        assert ended(broker, id).status == states.SUCCESS
        assert time.monotonic() - began < 5
    assert output(broker, id) == b"done\n"
    pid = read_pid(pid_file)
    if way:  # that one left on purpose
        assert is_alive(pid)
        os.kill(pid, 9)
    eventually(lambda: not is_alive(pid))


@pytest.mark.parametrize("way", ["", "setsid "], ids=["in its session", "in its own session"])
def test_what_a_job_leaves_is_left_alone_if_it_said_so(
    broker: Broker, tmp_path: Path, way: str
) -> None:
    """Also when the worker is killed later, and another one clears up after it."""
    pid_file = tmp_path / "pid"
    text = f"{way}sh -c 'echo $$ > {pid_file}; exec sleep 600' >&- 2>&- & sleep 0.1"
    with started_worker(broker) as worker:
        id = script(broker, text, keep_background=True)
        assert ended(broker, id).status == states.SUCCESS
        running(broker, submit(broker, "sleep", "60"))
        worker.kill()
        worker.wait()
        with started_worker(broker):
            eventually(lambda: len(broker.workers()) == 1)
            aque("kill", "all")
    pid = read_pid(pid_file)
    assert is_alive(pid)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not is_alive(pid))


def test_what_was_to_be_left_alone_ends_with_a_task_that_is_killed(
    broker: Broker, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    text = f"sh -c 'echo $$ > {pid_file}; exec sleep 600' & wait"
    with started_worker(broker):
        id = script(broker, text, keep_background=True)
        running(broker, id)
        pid = read_pid(pid_file)
        aque("kill", str(id))
        eventually(lambda: not is_alive(pid))


def test_a_call_may_leave_what_it_started_too(broker: Broker, tmp_path: Path) -> None:
    code = """if True:
        import sys
        import leaving
        from aque.queue import Queue
        for keep in (True, False):
            Queue(sys.argv[1]).submit_ex(func=leaving.leave, keep_background=keep)
    """
    (tmp_path / "leaving.py").write_text(
        "import subprocess\n\ndef leave():\n"
        "    return subprocess.Popen(['sleep', '600'], stdout=-3, stderr=-3).pid\n"
    )
    python(code, broker.to_url(), cwd=tmp_path)
    with started_worker(broker):
        for id in (1, 2):
            assert ended(broker, id).status == states.SUCCESS
        kept, other = (int(task.result or 0) for task in broker.search())
        try:
            eventually(lambda: not is_alive(other), 30)
            assert is_alive(kept)
        finally:
            os.kill(kept, signal.SIGKILL)


def test_what_is_left_in_the_session_ends_with_the_job_whatever_its_group(
    broker: Broker, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    text = f"set -m; sh -c 'echo $$ > {pid_file}; exec sleep 600' & sleep 0.1; echo done"
    id = submit(broker, "bash", "-c", text)
    work(broker)
    assert fetch(broker, id).status == states.SUCCESS
    pid = read_pid(pid_file)
    eventually(lambda: not is_alive(pid))


# Standard input, and output to files


def test_a_job_reads_nothing_unless_it_is_given_something(broker: Broker) -> None:
    id = submit(broker, "wc", "-c")
    work(broker)
    assert output(broker, id) == b"0\n"


def test_a_job_reads_a_file(broker: Broker, tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"a\xffb\n")
    id = submit(broker, "cat", stdin="input", cwd=str(tmp_path))
    work(broker)
    assert output(broker, id) == b"a\xffb\n"


def test_a_job_reads_what_was_stored_with_it_each_time(broker: Broker) -> None:
    data = os.urandom(300_000)
    id = submit(broker, "sha256sum", stdin="-", stdin_value=data)
    work(broker)
    aque("retry", "-s", str(id))
    work(broker)
    expected = hashlib.sha256(data).hexdigest().encode() + b"  -\n"
    assert output(broker, id, attempt=1) == expected
    assert output(broker, id, attempt=2) == expected


def test_output_goes_to_files_and_not_into_the_queue(broker: Broker, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old, and longer than the new")
    fields = {"stdout": "out", "stderr": str(tmp_path / "err"), "cwd": str(tmp_path)}
    id = script(broker, "echo out; echo err >&2", **fields)
    work(broker)
    assert (tmp_path / "out").read_text() == "out\n"
    assert (tmp_path / "err").read_text() == "err\n"
    assert broker.output(id, 1) == []


def test_one_file_takes_both_streams(broker: Broker, tmp_path: Path) -> None:
    path = str(tmp_path / "both")
    text = "echo 1; echo 2 >&2; echo 3; echo 4 >&2"
    script(broker, text, stdout=path, stderr=path)
    work(broker)
    assert Path(path).read_text() == "1\n2\n3\n4\n"


def test_a_stream_may_go_to_a_file_alone(broker: Broker, tmp_path: Path) -> None:
    id = script(broker, "echo out; echo err >&2", stderr=str(tmp_path / "err"))
    work(broker)
    assert output(broker, id) == b"out\n"
    assert (tmp_path / "err").read_text() == "err\n"


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ("stdin", "standard input"),
        ("stdout", "standard output"),
        ("stderr", "standard error"),
        ("cwd", "working directory"),
    ],
)
def test_a_place_that_does_not_exist_fails_the_task_by_name(
    broker: Broker, field: str, what: str
) -> None:
    id = submit(broker, "echo", "hello", **{field: "/nonexistent/x"})
    work(broker)
    task = fetch(broker, id)
    assert (task.status, task.exit_status) == (states.ERROR, 126)
    assert task.error == f"{what} /nonexistent/x: No such file or directory"


def test_a_worker_goes_on_after_a_directory_went_away(broker: Broker, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    with started_worker(broker, cwd=gone):
        first = submit(broker, "pwd", cwd=str(gone))
        ended(broker, first)
        gone.rmdir()
        second = submit(broker, "true", cwd=str(gone))
        third = submit(broker, "pwd", cwd=str(tmp_path))
        assert ended(broker, second).exit_status == 126
        assert ended(broker, third).status == states.SUCCESS
    assert output(broker, third) == f"{tmp_path}\n".encode()


# Commands that cannot be run


def test_a_command_that_is_not_found_is_127(broker: Broker, tmp_path: Path) -> None:
    by_name, by_path = submit(broker, "no-such-command"), submit(broker, str(tmp_path / "no"))
    work(broker)
    for id in (by_name, by_path):
        task = fetch(broker, id)
        assert (task.status, task.exit_status) == (states.ERROR, 127)
        assert "No such file" in str(task.error)
    assert "no-such-command" in str(fetch(broker, by_name).error)


def test_a_command_that_cannot_be_executed_is_126(broker: Broker, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("echo hello\n")
    ids = [submit(broker, str(tmp_path / "plain")), submit(broker, str(tmp_path))]
    ids.append(submit(broker, "plain", environ={"PATH": str(tmp_path)}))
    work(broker)
    for id in ids:
        assert fetch(broker, id).exit_status == 126
        assert "Permission denied" in str(fetch(broker, id).error)


def test_a_script_without_a_first_line_is_run_by_sh(broker: Broker, tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text('echo "$0: $*"\n')
    path.chmod(0o755)
    by_path = submit(broker, str(path), "a", "b c")
    by_name = submit(broker, "script", "a", environ={"PATH": f"/nowhere:{tmp_path}"})
    work(broker)
    assert output(broker, by_path) == f"{path}: a b c\n".encode()
    assert output(broker, by_name) == f"{path}: a\n".encode()


def test_a_command_is_found_by_the_tasks_own_path(broker: Broker, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tool").write_text(f"#!/bin/sh\necho {name}\n")
        (tmp_path / name / "tool").chmod(0o755)
    first = submit(broker, "tool", environ={"PATH": f"{tmp_path}/a"})
    second = submit(broker, "tool", environ={"PATH": f"{tmp_path}/b"})
    here = submit(broker, "tool", environ={"PATH": ":/bin"}, cwd=str(tmp_path / "b"))
    work(broker)
    assert [output(broker, id) for id in (first, second, here)] == [b"a\n", b"b\n", b"b\n"]


def test_an_argument_with_a_null_byte_fails_the_task_alone(broker: Broker) -> None:
    """A queue refuses it at submit; another program may have written it all the same."""
    (bad,) = broker.create([prototype(args='["echo", "a\\u0000b"]')])
    good = submit(broker, "echo", "good")
    work(broker)
    assert fetch(broker, bad).exit_status == 126
    assert "null" in str(fetch(broker, bad).error)
    assert output(broker, good) == b"good\n"


def test_arguments_that_are_too_long_fail_the_task_alone(broker: Broker) -> None:
    with pytest.warns(errors.LargeValueWarning):
        bad = submit(broker, "echo", "x" * 3_000_000)
    good = submit(broker, "echo", "good")
    work(broker)
    assert fetch(broker, bad).exit_status == 126
    assert "too long" in str(fetch(broker, bad).error)
    assert output(broker, good) == b"good\n"


# Bytes that are not UTF-8

ODD = os.fsdecode(b"\xff\xfe-\xe9")


def test_arguments_and_environment_are_kept_byte_for_byte(broker: Broker) -> None:
    code = "import os, sys; os.write(1, os.environb[b'X'] + b' ' + os.fsencode(sys.argv[1]))"
    environ = {**os.environ, "X": ODD}
    id = submit(broker, sys.executable, "-c", code, ODD, environ=environ)
    work(broker)
    assert output(broker, id) == b"\xff\xfe-\xe9 \xff\xfe-\xe9"


def test_paths_are_kept_byte_for_byte(broker: Broker, tmp_path: Path) -> None:
    odd = tmp_path / ODD
    odd.mkdir()
    (odd / ODD).write_bytes(b"content")
    fields = {"cwd": str(odd), "stdin": str(odd / ODD), "stdout": ODD + "out", "name": ODD}
    id = submit(broker, "cat", **fields)
    pwd = submit(broker, "pwd", cwd=str(odd))
    work(broker)
    assert fetch(broker, id).status == states.SUCCESS
    assert fetch(broker, id).name == ODD
    assert (odd / (ODD + "out")).read_bytes() == b"content"
    assert output(broker, pwd) == os.fsencode(odd) + b"\n"


def test_a_worker_survives_a_command_whose_name_is_not_text(broker: Broker) -> None:
    id, good = submit(broker, ODD), submit(broker, "true")
    work(broker)
    assert fetch(broker, id).exit_status == 127
    assert fetch(broker, good).status == states.SUCCESS


def test_a_queue_may_lie_under_a_path_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / ODD / "queue.db"
    path.parent.mkdir()
    env = {**os.environ, "AQUE_BROKER": str(path)}
    url = aque("init", env=env, text=False).stdout
    assert url == b"sqlite://" + os.fsencode(path) + b"\n"
    aque("submit", "--", "sh", "-c", 'aque_broker=$AQUE_BROKER; echo "$aque_broker"', env=env)
    work(str(path), env=env)
    assert aque("output", "last", env=env, text=False).stdout == url


def test_a_running_task_can_be_seen_by_its_command(broker: Broker) -> None:
    with started_worker(broker):
        id = submit(broker, "sleep", "600")
        pid = running(broker, id).pid
        assert pid is not None
        aque("kill", str(id))
        assert not is_alive(pid)
