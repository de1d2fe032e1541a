"""The options that GNU xargs has not: retries, time, halting, logs, progress, dry runs."""

from __future__ import annotations

import os
import pty
import re
import signal
import sys
import termios
from contextlib import closing, suppress

import pytest
from support import aque, eventually, started
from terminals import Terminal
from xargs import pair, runs

from aque import states
from aque.brokers.base import Broker
from aque.commands.xargs.progress import Progress
from aque.worker import host


def test_what_fails_is_tried_again_and_only_its_last_end_counts(broker: Broker):
    script = "test $0 -lt $AQUE_ATTEMPT || exit 255"
    assert runs.run("-n1", "--retries=1", "sh", "-c", script, data=b"0 1").status == 0
    assert [task.attempt for task in runs.children(broker)] == [1, 2]
    assert runs.run("-n1", "--retries=1", "sh", "-c", script, data=b"2 0").status == 124


def test_a_command_that_takes_too_long_is_a_failure_and_the_run_goes_on(broker: Broker):
    argv = ["-n1", "--timeout=0.2", "sh", "-c", "test $0 = b || exec sleep 60"]
    assert runs.run(*argv, data=b"a b") == pair.Outcome(b"", b"", 123)
    found = [(task.status, task.error) for task in runs.children(broker)]
    assert found == [(states.ERROR, "timed out after 0.2s"), (states.SUCCESS, None)]


def test_a_command_that_takes_too_much_memory_is_a_failure_and_the_run_goes_on(broker: Broker):
    hog = "import time; x = b'x' * 30_000_000; time.sleep(60)"
    script = f'[ $0 = b ] || exec {sys.executable} -c "{hog}"'
    assert runs.run("-n1", "--memory=8M", "sh", "-c", script, data=b"a b").status == 123
    assert runs.statuses(broker) == [states.ERROR, states.SUCCESS]


@pytest.mark.parametrize(
    ("halt", "procs", "begun"),
    [
        ("soon,fail=2", 1, "1122"), ("now,fail=1", 1, "11"), ("soon,fail=50%", 1, "112233"),
        ("never", 1, "1122334455"), ("soon,fail=9", 2, "1122334455"),
    ],
)  # fmt: skip
def test_enough_failures_end_a_run(broker: Broker, halt, procs, begun):
    argv = ["--halt", halt, "-n1", f"-P{procs}", "sh", "-c", "echo $0$0; exit 1"]
    done = runs.run(*argv, data=b"1 2 3 4 5")
    assert ("".join(sorted(done.stdout.decode().split())), done.status) == (begun, 123)


def test_halting_now_ends_what_runs(broker: Broker, tmp_path):
    script = "[ $0 = b ] || exec sleep 60; while [ ! -e a ]; do sleep 0.01; done; exit 1"
    script = f"[ $0 = b ] || : > a; {script}"
    done = runs.run("--halt=now,fail=1", "-n1", "-P2", "sh", "-c", script, data=b"a b c",
                    cwd=tmp_path)  # fmt: skip
    assert (done.stderr, done.status) == (b"xargs: 1 command failed; ending what runs\n", 123)
    assert runs.statuses(broker) == [states.CANCELLED, states.ERROR, states.CANCELLED]


def test_the_log_has_the_columns_of_gnu_parallel(tmp_path):
    log = tmp_path / "log"
    argv = [f"--joblog={log}", "-n1", "sh", "-c", "case $0 in 9) kill -9 $$;; esac; exit $0"]
    runs.run(*argv, data=b"0 3 9")
    header, *rows = (line.split("\t") for line in log.read_text().splitlines())
    assert header == "Seq Host Starttime JobRuntime Send Receive Exitval Signal Command".split()
    assert [(row[0], row[1], row[6], row[7]) for row in rows] == [
        ("1", ":", "0", "0"), ("2", ":", "3", "0"), ("3", ":", "0", "9"),
    ]  # fmt: skip
    assert rows[0][8].endswith("exit $0' 0")
    assert all(float(row[2]) > 1e9 and float(row[3]) >= 0 for row in rows)


def test_progress_ends_with_all_that_was_done():
    done = runs.run("--bar", "--eta", "-n1", "sh", "-c", "exit $0", data=b"0 1 0")
    bar = "#" * 24
    assert done.stderr.decode().splitlines()[-1] == (
        f"[{bar}] 100%  3 of 3 done, 1 failed, 0:00 left"
    )


def test_on_a_terminal_progress_has_the_last_row_and_what_commands_write_stays_whole(
    broker: Broker, tmp_path
):
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (10, 60))
    (tmp_path / "items").write_text("1 2 3 4")
    argv = ["-a", "items", "--bar", "-n1", "sh", "-c", "printf part; sleep 0.06; echo ly $0"]
    options = {"stdin": slave, "stdout": slave, "stderr": slave, "cwd": tmp_path}
    with started([*pair.OURS, *argv], env=pair.environ(TERM="xterm"), **options) as process:
        assert process.wait(30) == 0
    os.close(slave)
    shown = b""
    with suppress(OSError):
        while data := os.read(master, 4096):
            shown += data
    os.close(master)
    room = rb"\x1b7\x1b\[r\x1b8\x1bD\x1bD\x1b\[2A"
    drawing = room + rb"\x1b7\x1b\[1;8r\x1b\[10;1H[^\x1b]* done\x1b\[K\x1b8"
    assert len(re.findall(drawing, shown)) >= 2
    given_back = room + rb"\x1b7\x1b\[B\r\x1b\[J\x1b8\[#{24}\] 100%  4 of 4 done\r\n$"
    assert re.search(given_back, shown)
    written = re.sub(drawing, b"", re.sub(given_back, b"", shown))
    assert written.replace(b"\r", b"") == b"".join(b"partly %d\n" % n for n in range(1, 5))


def test_a_window_that_changes_its_size_under_a_bar_loses_and_mixes_no_line(tmp_path):
    (tmp_path / "items").write_text(" ".join(map(str, range(1, 31))))
    argv = ["-a", f"{tmp_path}/items", "--bar", "-n1", "sh", "-c", "echo line $0; sleep 0.015"]
    with closing(Terminal([*pair.OURS, *argv], {})) as terminal:
        for count, columns, rows in [(10, 60, 8), (18, 80, 20), (27, 50, 14)]:
            eventually(lambda told=b"line %d\r" % count: told in terminal.raw)
            terminal.resize(columns, rows)
        terminal.shows("30 of 30 done")
        *lines, last = (line for line in terminal.lines if line)
    assert last == f"[{'#' * 24}] 100%  30 of 30 done"
    assert lines == [f"line {n}" for n in range(31 - len(lines), 31)]
    assert terminal.lines[: len(lines)] == lines


def test_a_terminal_that_gets_too_small_for_a_bar_has_all_its_rows(monkeypatch):
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (10, 60))
    monkeypatch.setenv("TERM", "xterm")
    kept = os.dup(2)
    os.dup2(slave, 2)
    try:
        shown = Progress(True, False, lambda: 1)
        shown.show()
        assert b"\x1b[1;8r" in os.read(master, 4096)
        termios.tcsetwinsize(slave, (1, 60))
        shown._due_at = 0.0
        shown.show()
        assert os.read(master, 4096).startswith(b"\x1b7\x1b[r\x1b8")
    finally:
        os.dup2(kept, 2)
        for descriptor in (kept, master, slave):
            os.close(descriptor)


def test_a_terminal_that_closes_under_a_bar_ends_the_run_as_any_other(broker: Broker, tmp_path):
    (tmp_path / "items").write_text("1 2")
    script = "trap 'trap \"\" HUP; exec sleep 0.2' HUP; while :; do sleep 0.01; done"
    argv = ["-a", "items", "--bar", "-n1", "sh", "-c", script]
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(pair.OURS[0], [*pair.OURS, *argv], pair.environ(TERM="xterm"))
    termios.tcsetwinsize(master, (24, 80))
    eventually(lambda: b" of 2 done" in os.read(master, 4096))
    os.close(master)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGHUP
    assert runs.group(broker).is_complete
    assert runs.statuses(broker) == [states.CANCELLED, states.CANCELLED]


def test_a_dry_run_prints_what_a_shell_would_read_and_touches_no_queue(tmp_path):
    env = pair.environ(AQUE_BROKER=str(tmp_path / "none.db"))
    done = runs.run("--dry-run", "-n1", "echo", "a b", data=b'c "d\'"', env=env)
    assert done.stdout == b"echo 'a b' c\necho 'a b' \"d'\"\n"
    assert not list(tmp_path.glob("none*"))


def test_commands_wait_for_their_limit(broker: Broker, tmp_path):
    aque("limit", "nuke=1")
    script = "mkdir lock || exit 1; sleep 0.05; rmdir lock"
    argv = ["--limit=nuke", "-n1", "-P4", "sh", "-c", script]
    assert runs.run(*argv, data=b"a b c d", cwd=tmp_path) == pair.Outcome(b"", b"", 0)


def test_cpus_below_0_are_a_part_of_the_machine(broker: Broker):
    assert runs.run("--cpus=-2", "true", data=b"a") == pair.Outcome(b"", b"", 0)
    assert [task.cpus for task in runs.children(broker)] == [host.count_cpus() / 2]


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--limit=nope"], "there is no limit 'nope'; aque-limit nope=N makes it"),
        (["--limit=nope=2"], "there is no limit 'nope=2'; write nope:2"),
        (["--limit=:"], "':' is no limit; write nuke or nuke:2"),
        (["--halt=soon"], 'invalid condition "soon" for --halt option; write soon,fail=1 or '
         "now,fail=20%"),
        (["--host=nowhere"], "this host is none of nowhere; --detach leaves it to workers"),
        (["--host=10.0.0.0/40"], "'10.0.0.0/40' is no network: '10.0.0.0/40' does not appear to be "
         "an IPv4 or IPv6 network"),
        ([f"--priority={2**63}"], f"priority cannot be {2**63}; it is a whole number from "
         f"{1 - 2**63} to {2**63 - 1}"),
        ([f"--memory={2**63}"], f"memory cannot be {2**63}; it is a number from 0 to {2**63 - 1}"),
        (["--detach", f"--memory={2**63}"], f"memory cannot be {2**63}; it is a number from 0 to "
             f"{2**63 - 1}"),
        ([f"--memory={'9' * 400}"], "a size of 400 digits is too large; write 512M or 4G"),
        ([f"--timeout={'9' * 400}"], "timeout cannot be inf; it is a number from 1e-09 to "
             f"{2**63 - 1}"),
        (["--cpus=5000"], f"it needs 5000 cpus, and this host has {host.count_cpus()}; --detach "
         "leaves it to workers"),
        (["--limit=few:3"], "it needs 3 of limit few, which has 2; aque-limit few=3 makes "
         "it enough"),
        (["--timeout=x"], "'x' is no duration; write 90, 1.5s, 10m or 1d2h3m4.5s"),
        (["--joblog=/nope/log"], "cannot write the log /nope/log: No such file or directory"),
        (["-p", "--cpus=1"], "-p cannot ask for commands that wait for cpus, memory or a limit"),
        (["--detach", "--line-buffer"], "--line-buffer needs the commands here; leave it or "
         "--detach out"),
        (["--detach", "-p"], "-p needs the commands here; leave it or --detach out"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_one_line(broker: Broker, argv, told):
    broker.set_limits({"few": 2})
    assert runs.run(*argv, "true", data=b"a") == pair.Outcome(b"", f"xargs: {told}\n".encode(), 1)
    assert broker.roots(0.0, None, None)[0] == []
