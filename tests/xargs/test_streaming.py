"""Input that comes bit by bit: what is complete runs at once, and little is read ahead."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from support import aque, eventually, started
from xargs import pair

from aque import states
from aque.brokers.base import Broker

PIPE = subprocess.PIPE


@contextmanager
def running(*argv: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start ours with pipes for input and output; close its input to end it."""
    options = {"stdin": PIPE, "stdout": PIPE, "env": pair.environ(), **options}
    with started([*pair.OURS, *argv], **options) as process:
        yield process


def write(process: subprocess.Popen[bytes], data: bytes) -> None:
    assert process.stdin is not None
    os.write(process.stdin.fileno(), data)


def read_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


def test_a_command_runs_before_the_next_item_is_written():
    with running("-n1", "echo") as process:
        write(process, b"a\n")
        assert read_line(process) == b"a\n"
        write(process, b"b c\n")
        assert (read_line(process), read_line(process)) == (b"b\n", b"c\n")
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0


def test_a_run_that_waits_for_its_command_and_its_input_uses_no_cpu():
    with running("-n1", "-P2", "sh", "-c", "echo; sleep 1; echo") as process:
        write(process, b"a\n")
        read_line(process)
        before = sum(psutil.Process(process.pid).cpu_times()[:2])
        read_line(process)
        assert sum(psutil.Process(process.pid).cpu_times()[:2]) - before < 0.3


def test_a_batch_that_is_not_full_waits_for_the_end_of_the_input():
    with running("-n2", "echo") as process:
        write(process, b"a\nb\nc\n")
        assert read_line(process) == b"a b\n"
        assert process.stdin is not None
        process.stdin.close()
        assert read_line(process) == b"c\n"


def test_the_run_ends_with_the_end_string_though_more_could_come():
    with running("-EE", "-n1", "echo") as process:
        write(process, b"a\nE\n")
        assert (read_line(process), process.wait(10)) == (b"a\n", 0)


def test_a_stop_ends_the_run_though_more_could_come():
    with running("-n1", "sh", "-c", "exit 255", stderr=PIPE) as process:
        write(process, b"a\n")
        assert process.wait(10) == 124


def test_of_endless_input_little_is_read_ahead(broker: Broker):
    """Both commands wait for a line that never comes, so nothing is begun after them."""
    with running("-n1", "-P2", "sh", "-c", "echo begun; exec sleep 60") as process:
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        written = [0]

        def is_full() -> bool:
            try:
                written[0] += os.write(process.stdin.fileno(), b"item\n" * 1000)
            except BlockingIOError:
                return True
            return False

        eventually(is_full)
        assert [read_line(process), read_line(process)] == [b"begun\n"] * 2
        (group,) = eventually(lambda: broker.roots(0.0, None, None)[0])
        eventually(is_full)
        counts = eventually(lambda: broker.count_children([group.id])[group.id])
        assert counts[states.RUNNING] == 2
        assert counts[states.PENDING] <= 1000
        assert written[0] < 500_000
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == -signal.SIGTERM


@pytest.mark.parametrize(("number", "most"), [(signal.SIGUSR1, 2), (signal.SIGUSR2, 1)])
def test_usr1_and_usr2_change_how_many_run(number, most, tmp_path):
    """Each command begins with a line, and ends when the gate it is named after is there."""
    script = "echo $1; while [ ! -e gate$1 ]; do sleep 0.01; done"
    slots = "-P1" if number == signal.SIGUSR1 else "-P2"
    with running(slots, "-n1", "sh", "-c", script, "sh", cwd=tmp_path) as process:
        write(process, b"1\n2\n3\n4\n")
        begun = {read_line(process) for _ in range(int(slots[2:]))}
        process.send_signal(number)
        if most == 2:
            assert read_line(process) == b"2\n"  # beside the first
        else:
            (tmp_path / "gate1").touch()
            (tmp_path / "gate2").touch()
            begun.add(read_line(process))
            assert begun == {b"1\n", b"2\n", b"3\n"}
            assert not _has_more(process)
        for gate in "1234":
            (tmp_path / f"gate{gate}").touch()
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0


def _has_more(process: subprocess.Popen[bytes]) -> bool:
    """Whether a command begins beside the one that runs, which would be at once."""
    import select

    assert process.stdout is not None
    return bool(select.select([process.stdout], [], [], 0.2)[0])


def test_a_reader_that_goes_away_ends_the_run_as_under_gnu_xargs():
    assert pair.assert_scripts_alike("seq 100000 | { X -n1 echo; echo $? >&2; } | head -1")


def test_a_terminal_is_read_until_its_end_of_file():
    import pty

    master, slave = pty.openpty()
    try:
        with running("-n1", "echo", stdin=slave) as process:
            os.write(master, b"a\n")
            assert read_line(process) == b"a\n"
            os.write(master, b"b\n\x04")
            assert read_line(process) == b"b\n"
            assert process.wait(10) == 0
    finally:
        os.close(master)
        os.close(slave)


def test_how_much_has_ended_is_shown_once_the_input_has(broker: Broker, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    wait = f"[ $0 = a ] || until [ -e {gate} ]; do sleep 0.01; done"
    with running("-P2", "-n1", "sh", "-c", wait) as process:
        write(process, b"a\nb\n")
        eventually(lambda: broker.count_children([1]) == {1: {"success": 1, "running": 1}})
        assert "%" not in aque("status").stdout
        assert process.stdin is not None
        process.stdin.close()
        eventually(lambda: re.match(r"1 creating +50% +xargs sh", aque("status").stdout))
        gate.touch()
        assert process.wait(10) == 0
