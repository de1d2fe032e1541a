"""Own the measure of aque-xargs beside its peers: many short commands, start-up, memory.

Besides `true` a program is run that does nothing at all, if a compiler is there to make it: it
shows what the start of `true` hides.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Sequence
from functools import partial

import place
from rounds import interleave, median, timed
from table import ratio, show

_COMMANDS = 5000
_STARTS = 20
_JOBS = 1000
_MEMORY = (1_000, 10_000, 30_000)
_NOTHING = b'void _start(void){__asm__ volatile("mov $60,%eax; xor %edi,%edi; syscall");}'
_IMPORTS = [sys.executable, "-c", "import click, sqlite3"]


ROWS = ("p2", "p8", "nothing", "parallel", "memory", "start")


def run(commands: int | None, rounds: int, rows: Collection[str] = ROWS) -> None:
    """5,000 times `true` beside xargs and GNU parallel; start-up; memory."""
    with place.own_queue(), place.own_directory() as directory:
        number = commands or _COMMANDS
        items = os.path.join(directory, "items")
        _write_items(items, number)
        for row, processes in (("p2", 2), ("p8", 8)):
            if row in rows:
                _compare_runs(items, number, ["true"], processes, rounds)
        program = _nothing(directory) if "nothing" in rows else None
        if program is not None:
            _compare_runs(items, number, [program], 2, rounds)
        if "parallel" in rows:
            _compare_parallel(items, min(number, _JOBS), rounds)
        if "memory" in rows:
            _show_memory(items)
        if "start" in rows:
            _compare_starts(items)


def _compare_runs(
    items: str, number: int, command: Sequence[str], processes: int, rounds: int
) -> None:
    words = [f"-P{processes}", "-n1", *command]
    used = interleave(
        {"aque-xargs": _weigh(items, _ours(words)), "xargs": _weigh(items, _theirs(words))}, rounds
    )
    times, cpus = ({n: median([u[of] for u in used[n]]) for n in used} for of in (0, 1))
    rows = [
        [name, f"{times[name]:.3f} s", ratio(times[name], times["xargs"]),
         f"{cpus[name]:.3f} s", ratio(cpus[name], cpus["xargs"])]
        for name in used
    ]  # fmt: skip
    name = os.path.basename(command[0])
    title = f"{number:,} times {name}, -P{processes}, start-up included, median of {rounds}"
    show(title, ["time", "to xargs", "cpu", "to xargs"], rows)


def _weigh(items: str, words: Sequence[str]) -> Callable[[], tuple[float, float]]:
    """Return what runs it and returns the seconds it took, and those of all cpus."""

    def weigh() -> tuple[float, float]:
        before = os.times()
        taken = timed(partial(_run, items, words))
        after = os.times()
        cpu = sum(after[2:4]) - sum(before[2:4])
        return taken, cpu

    return weigh


def _compare_parallel(items: str, number: int, rounds: int) -> None:
    program = shutil.which("parallel")
    if program is None:
        print("\nGNU parallel is not installed")
        return
    words = ["-P2", "-n1", "true"]
    _write_items(items, number)
    contenders = {
        "aque-xargs": _turn(items, _ours(words)),
        "GNU parallel": _turn(items, [program, "--will-cite", *words]),
    }
    times = {name: median(t) for name, t in interleave(contenders, rounds).items()}
    rows = [[name, f"{t:.3f} s", ratio(t, times["GNU parallel"])] for name, t in times.items()]
    show(f"{number:,} times true, -P2, median of {rounds}", ["time", "to parallel"], rows)


def _show_memory(items: str) -> None:
    rows = []
    for number in _MEMORY:
        _write_items(items, number)
        with open(items, "rb") as stdin:
            words = _ours(["-P2", "-n1", "true"])
            process = subprocess.Popen(words, stdin=stdin)
            _, _, used = os.wait4(process.pid, 0)
            process.returncode = 0
        rows.append([f"{number:,} items", f"{used.ru_maxrss / 1024:.1f} MiB"])
    show("Peak memory of aque-xargs -n1", ["at most"], rows)


def _write_items(items: str, number: int) -> None:
    with open(items, "w", encoding="ascii") as file:
        file.writelines(f"{item}\n" for item in range(number))


def _nothing(directory: str) -> str | None:
    """Return a program that ends at once, without so much as a C library; None without a compiler.

    It leaves by the system call itself, so it is known for one kind of machine only.
    """
    compiler = shutil.which("cc")
    if compiler is None or os.uname().machine != "x86_64":
        return None
    path = os.path.join(directory, "nothing")
    words = [compiler, "-static", "-nostdlib", "-O2", "-x", "c", "-o", path, "-"]
    done = subprocess.run(words, input=_NOTHING, stderr=subprocess.DEVNULL, check=False)
    return None if done.returncode else path


def _compare_starts(items: str) -> None:
    _write_items(items, 1)
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
