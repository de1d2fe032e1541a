"""SQLite's own: the stress that corrupts stock SQLite leaves a queue whole; a short form of it.

The long one, beside stock SQLite, is `bin/bench wal-reset`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent / "bench"
CODE = "import sys, walreset; print(walreset.stress(sys.argv[1], float(sys.argv[2])))"


def test_writers_and_a_checkpoint_each_millisecond_lose_nothing() -> None:
    words = [sys.executable, "-c", CODE, "aque", "3"]
    done = subprocess.run(words, cwd=BENCH, capture_output=True, text=True, check=True, timeout=60)
    found = re.fullmatch(r"Outcome\(writes=(\d+), checkpoints=(\d+), harm=\(\)\)\n", done.stdout)
    assert found, done.stdout
    writes, checkpoints = map(int, found.groups())
    assert writes > 100
    assert checkpoints > 20
