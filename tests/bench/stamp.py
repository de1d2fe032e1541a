"""Own a program that tells when it starts: by the clock, read by its own first instruction.

It is a static C program, so that what runs before main() is an exec and little else. Where there is
no C compiler it is /bin/sh writing an empty line, and the instant is the one we read that; all
contenders start the same program, so the peers stay comparable.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from select import select
from time import monotonic_ns

#: Seconds until a start is given up.
_PATIENCE = 10.0

_SOURCE = """
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#ifdef __APPLE__
#define CLOCK CLOCK_UPTIME_RAW  /* the clock of time.monotonic_ns() */
#else
#define CLOCK CLOCK_MONOTONIC
#endif

int main(int count, char **words) {
    struct timespec now;
    clock_gettime(CLOCK, &now);
    dprintf(open(words[1], O_WRONLY), "%lld\\n", now.tv_sec * 1000000000LL + now.tv_nsec);
    return 0;
}
"""


class Stamp:
    """`command` is what to run; `read` then returns when that started, in monotonic ns."""

    def __init__(self, directory: str) -> None:
        path = os.path.join(directory, "stamps")
        os.mkfifo(path)
        self._stamps = os.fdopen(os.open(path, os.O_RDWR | os.O_CLOEXEC), "rb", buffering=0)
        compiled = _compile(directory)
        self.is_compiled = compiled is not None
        self.command = [compiled, path] if compiled else ["/bin/sh", "-c", 'echo >"$0"', path]

    def read(self) -> int:
        """Wait for the next start. Raises TimeoutError when none comes."""
        if not select([self._stamps], [], [], _PATIENCE)[0]:
            raise TimeoutError(f"no task has started for {_PATIENCE:g} s")
        line = self._stamps.readline()
        return int(line) if line.strip() else monotonic_ns()

    def close(self) -> None:
        self._stamps.close()


def _compile(directory: str) -> str | None:
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    program = os.path.join(directory, "stamp")
    for options in (["-static"], []):
        words = [compiler, "-O1", "-x", "c", *options, "-o", program, "-"]
        if subprocess.run(words, input=_SOURCE.encode(), capture_output=True).returncode == 0:
            return program
    return None
