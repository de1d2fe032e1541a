"""aque: all commands under one name."""

from __future__ import annotations

import subprocess
import sys

from jobs import CHECKOUT, one_line

from aque import brokers
from aque.commands import umbrella as module


def test_the_umbrella_says_what_there_is() -> None:
    def umbrella(*arguments: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, str(CHECKOUT / "bin" / "aque"), *arguments]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    for arguments in ([], ["--help"]):
        done = umbrella(*arguments)
        assert done.returncode == 0
        assert all(f"  {name} " in done.stdout for name in module.COMMANDS)
    assert umbrella("--version").stdout.startswith("aque 0.")
    assert umbrella("kill", "--version").stdout.startswith("aque-kill 0.")
    unknown = umbrella("frobnicate")
    assert unknown.returncode == 2
    one_line(unknown.stderr, "aque: no command 'frobnicate' (see aque --help)")
    assert umbrella("submit", "true").stdout == "1\n"
    assert brokers.from_url().existing(0, 10) == [1]
