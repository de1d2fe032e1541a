"""Half a minute of bin/chaos in each bin/check, with few processes, as other tests run beside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def test_nothing_is_lost_or_doubled_while_all_are_being_killed() -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux lets it be sure to signal nobody else")
    words = [sys.executable, str(Path(__file__).parent), "--small", "--minutes", "0.5"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 lost, 0 double" in done.stdout
