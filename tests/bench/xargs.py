"""Own the measure of aque-xargs beside the system's xargs: many short commands, and start-up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial

import place
from rounds import interleave, median, timed
from table import ratio, show

_COMMANDS = 5000
_STARTS = 20
_IMPORTS = [sys.executable, "-c", "import click, sqlite3"]


def run(commands: int | None, rounds: int) -> None:
    """5,000 times `true` beside the system's xargs; start-up."""
    with place.own_queue(), place.own_directory() as directory:
        number = commands or _COMMANDS
        items = os.path.join(directory, "items")
        with open(items, "w", encoding="ascii") as file:
            file.writelines(f"{item}\n" for item in range(number))
        for processes in (2, 8):
            _compare_runs(items, number, processes, rounds)
        with open(items, "w", encoding="ascii") as file:
            file.write("a\n")
        _compare_starts(items)


def _compare_runs(items: str, number: int, processes: int, rounds: int) -> None:
    words = [f"-P{processes}", "-n1", "true"]
    times = interleave(
        {"aque-xargs": _turn(items, _ours(words)), "xargs": _turn(items, _theirs(words))}, rounds
    )
    theirs = median(times["xargs"])
    rows = [
        [name, f"{median(taken):.3f} s", f"{number / median(taken):,.0f}",
         ratio(median(taken), theirs)]
        for name, taken in times.items()
    ]  # fmt: skip
    title = f"{number:,} times true, -P{processes}, start-up included, median of {rounds}"
    show(title, ["time", "a second", "to xargs"], rows)


def _compare_starts(items: str) -> None:
    contenders = {
        "echo a | aque-xargs echo": _turn(items, _ours(["echo"])),
        "python3 -c 'import click, sqlite3'": _turn(items, _IMPORTS),
        "echo a | xargs echo": _turn(items, _theirs(["echo"])),
    }
    times = {name: median(t) for name, t in interleave(contenders, _STARTS).items()}
    imports = times["python3 -c 'import click, sqlite3'"]
    rows = [[name, f"{t * 1000:.1f} ms", ratio(t, imports)] for name, t in times.items()]
    show(f"Start to end, median of {_STARTS}", ["time", "to the imports"], rows)


def _turn(items: str, words: Sequence[str]) -> Callable[[], float]:
    return partial(timed, partial(_run, items, words))


def _run(items: str, words: Sequence[str]) -> None:
    with open(items, "rb") as stdin:
        subprocess.run(words, stdin=stdin, stdout=subprocess.DEVNULL, check=True)


def _ours(words: Sequence[str]) -> list[str]:
    return [place.command("aque-xargs"), *words]


def _theirs(words: Sequence[str]) -> list[str]:
    return [shutil.which("xargs") or "xargs", *words]
