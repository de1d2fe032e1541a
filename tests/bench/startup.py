"""Own the benchmark of starting: commands against an interpreter that loads what they must."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence

from rounds import interleave, median, timed
from table import milliseconds, ratio, show

_PEER = "python3 -c 'import click, sqlite3'"
#: Rounds, unless --number says otherwise; each runs all contenders once.
_ROUNDS = 40


def run(number: int | None, rounds: int) -> None:
    """Time of short commands, each a process of its own, against Python with click and sqlite3."""
    with tempfile.TemporaryDirectory() as directory:
        os.environ["AQUE_BROKER"] = os.path.join(directory, "queue.db")
        given = interleave(_contenders(), number or _ROUNDS)
        del os.environ["AQUE_BROKER"]
    peer = median(given[_PEER])
    rows = [
        [name, milliseconds(median(times)), milliseconds(min(times)), ratio(median(times), peer)]
        for name, times in given.items()
    ]
    show("start and end of one command", ["median", "fastest", "of python3"], rows)


def _contenders() -> dict[str, Callable[[], float]]:
    here = os.path.dirname(sys.executable)
    commands = {
        _PEER: [sys.executable, "-c", "import click, sqlite3"],
        "aque-submit true": [os.path.join(here, "aque-submit"), "true"],
        "aque-submit --help": [os.path.join(here, "aque-submit"), "--help"],
        "aque-status 1": [os.path.join(here, "aque-status"), "1"],
        "aque-xargs true": [os.path.join(here, "aque-xargs"), "true"],
    }
    return {
        name: lambda words=words: timed(lambda: _run(words)) for name, words in commands.items()
    }


def _run(words: Sequence[str]) -> None:
    subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
