"""Own the peer of submitting and waiting: task-spooler, where `tsp` is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from time import monotonic_ns


class Spooler:
    """A task-spooler server of our own, in `directory`."""

    def __init__(self, directory: str) -> None:
        program = find()
        assert program is not None, "ask find() first"
        self._program = program
        socket = os.path.join(directory, "spooler")
        self._environ = {**os.environ, "TS_SOCKET": socket, "TMPDIR": directory}

    def submit(self, command: Sequence[str]) -> tuple[int, int]:
        """Submit; return when that was called and when it was done, in monotonic ns."""
        null = os.open(os.devnull, os.O_RDWR)
        actions = [(os.POSIX_SPAWN_DUP2, null, number) for number in (0, 1)]
        words = [self._program, *command]
        called = monotonic_ns()
        pid = os.posix_spawn(self._program, words, self._environ, file_actions=actions)
        os.waitpid(pid, 0)
        done = monotonic_ns()
        os.close(null)
        return called, done

    def close(self) -> None:
        """End the server, the one of our socket."""
        subprocess.run([self._program, "-K"], env=self._environ, check=False)


def find() -> str | None:
    """Return the path of tsp, as Debian calls it; elsewhere `ts` may be that of moreutils."""
    return shutil.which("tsp")
