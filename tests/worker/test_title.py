"""A worker has its name in each moment, so that no killall misses it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support import started_python

CODE = """
import sys
from aque import proctitle
proctitle.set_comm("aque-worker")
print(flush=True)
sys.stdin.readline()
proctitle.set_title("aque-worker")
print(flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="names are looked up in /proc")
def test_while_the_title_is_set_the_name_stays() -> None:
    for _ in range(20):
        with started_python(CODE, stdin=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdout.readline()
            with open(f"/proc/{process.pid}/comm", "rb") as comm:
                process.stdin.write("\n")
                process.stdin.flush()
                os.set_blocking(process.stdout.fileno(), False)
                seen = set()
                while not process.stdout.readline():
                    seen.add(os.pread(comm.fileno(), 32, 0))
            assert seen == {b"aque-worker\n"}


def test_an_error_of_the_thread_that_spawns_is_its_callers() -> None:
    code = (
        "import os; from aque.worker.namesake import SpawningThread\n"
        "unfit = [(os.POSIX_SPAWN_CLOSE, 1 << 40)]\n"
        "try: SpawningThread()('/bin/true', ['true'], {}, file_actions=unfit)\n"
        "except OverflowError: print('raised')"
    )
    words = [sys.executable, "-c", code]
    assert subprocess.run(words, check=True, stdout=subprocess.PIPE, timeout=20).stdout
