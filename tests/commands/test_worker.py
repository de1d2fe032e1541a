"""aque-worker: its options and what it says; what it does is in tests/worker."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import termios

import pytest
from jobs import one_line, running, script, submit
from support import aque, started_worker

from aque.brokers.base import Broker


@pytest.mark.parametrize(
    "words", [["--one", "--to-end"], ["--slots", "0"], ["-c", "x"], ["--memory", "x"], ["extra"]]
)
def test_a_worker_refuses_what_makes_no_sense(words: list[str]) -> None:
    one_line(aque("worker", *words, status=2).stderr, "aque-worker: ")


def test_a_worker_says_as_much_as_it_is_asked_to(broker: Broker) -> None:
    assert aque("worker", "--to-end").stderr == ""
    submit(broker, "false")
    said = aque("worker", "--to-end", "-v").stderr
    assert "aque-worker: task 1 starts" in said
    assert "task 1: error (ended with exit status 1)" in said
    submit(broker, "true")
    lines = aque("worker", "--to-end", "-v", "--log-format", "json").stderr.splitlines()
    assert "task 2: success" in [json.loads(line)["message"] for line in lines]
    submit(broker, "true")
    assert aque("worker", "--to-end", "-q").stderr == ""


@pytest.mark.parametrize("is_in_front", [True, False])
def test_a_terminal_is_told_what_it_is_how_it_ends_and_what_it_waits_for(
    broker: Broker, is_in_front: bool
) -> None:
    mine, theirs = pty.openpty()
    id = script(broker, "trap 'exit 0' TERM; sleep 60 & wait")

    def take_terminal() -> None:
        if is_in_front:
            fcntl.ioctl(2, termios.TIOCSCTTY, 0)

    options = {"stderr": theirs, "start_new_session": True}
    with started_worker(broker, preexec_fn=take_terminal, **options) as worker:
        os.close(theirs)
        way = "Ctrl-C" if is_in_front else f"kill {worker.pid}"
        running(broker, id)
        worker.send_signal(signal.SIGINT)
        said = _read_until(mine, b"requeues it\r\n")
        first, second = said.decode().split("\r\n")[:2]
        assert first.startswith(f"\raque-worker: pid {worker.pid}, ")
        assert first.endswith(f"queue.db; {way} ends it")
        waits = f"waits for task {id}; {way} again requeues it"
        assert second == f"\raque-worker: {waits}"
        worker.send_signal(signal.SIGINT)
        assert worker.wait(20) == 0
    said = _read_until(mine, b"again later\r\n").decode()
    assert said == f"\raque-worker: stopping task {id}, to be run again later\r\n"
    os.close(mine)


def _read_until(descriptor: int, mark: bytes) -> bytes:
    said = b""
    while mark not in said:
        said += os.read(descriptor, 4096)
    return said
