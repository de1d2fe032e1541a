"""Hosts of one machine: PID and UTS namespaces, which are what aque tells hosts by."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from jobs import in_namespace
from support import eventually, started

_INIT = 'hostname "$1" && echo up && exec sleep 100000'


class Host:
    """A namespace with processes of its own, as far from others as another machine."""

    def __init__(self, name: str, init: int, processes: ExitStack) -> None:
        self.name = name
        self.init = init
        self._processes = processes
        self._entered: list[subprocess.Popen[bytes]] = []

    def words(self, *words: str) -> list[str]:
        """Return the words that run a command on this host."""
        return ["nsenter", "-t", str(self.init), "--pid", "--uts", "--mount", *words]

    def start(self, command: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start one of aque's commands on this host, until the host goes."""
        words = self.words(sys.executable, "-m", f"aque.commands.{command}", *arguments)
        process = self._processes.enter_context(started(words, **options))
        self._entered.append(process)
        return process

    def pids(self) -> list[int]:
        """Return the processes of this host, by the numbers they have outside."""
        there = os.readlink(f"/proc/{self.init}/ns/pid")
        every = map(int, filter(str.isdigit, os.listdir("/proc")))
        return [pid for pid in every if _namespace(pid) == there]

    def freeze(self) -> None:
        """Stop all its processes, as a machine that sleeps does."""
        told: set[int] = set()
        while new := set(self.pids()) - told:
            _send(new, signal.SIGSTOP)
            told |= new

    def thaw(self) -> None:
        _send(self.pids(), signal.SIGCONT)
        _send([process.pid for process in self._entered], signal.SIGCONT)  # nsenter stops too

    def vanish(self) -> None:
        """Have it end at once and without a word, with all its processes."""
        os.kill(self.init, signal.SIGKILL)
        eventually(lambda: not os.path.exists(f"/proc/{self.init}"))


@contextmanager
def host(name: str) -> Iterator[Host]:
    """Make another host; skip where the system refuses."""
    unshare = in_namespace("--pid", "--uts", "--mount-proc", "--fork", "--kill-child")
    if shutil.which("nsenter") is None:
        pytest.skip("no nsenter here")
    words = [*unshare, "sh", "-c", _INIT, "sh", name]
    quiet = subprocess.DEVNULL
    with started(words, stdout=subprocess.PIPE, stderr=quiet) as process, ExitStack() as processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        made = Host(name, int(children[0]), processes)
        try:
            yield made
        finally:
            if os.path.exists(f"/proc/{made.init}"):
                made.vanish()


def _namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def _send(pids: Sequence[int] | set[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
