"""Own what the tasks of the chaos do: leave a witness of each attempt, and write a known text.

The witness is a file that a second run of the same attempt cannot make, so that it is noticed. All
that could be hit inside a task makes it fail: what has succeeded was whole.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import NamedTuple

_SCRIPT = """set -eC
true > "$RAN/$AQUE_TID-$AQUE_ATTEMPT" || {
    echo "task $AQUE_TID ran attempt $AQUE_ATTEMPT twice" >> "$RAN.twice"; exit 99
}
echo "begin $AQUE_TID"
sleep "$2"
seq "$1"
[ "$3" = alone ] || sleep 60 &
echo "end $AQUE_TID"
"""

#: For aque-xargs, whose tasks may be in a queue of their own: RUN is the run's number, $1 the item.
XARGS_SCRIPT = """set -eC
true > "$RAN/x$RUN-$1-$AQUE_TID-$AQUE_ATTEMPT" || {
    echo "run $RUN of aque-xargs ran item $1 twice" >> "$RAN.twice"; exit 99
}
sleep 0.02
"""

#: Numbers of lines: nothing to speak of, a pipe's worth, and more than is kept in the queue.
_LINES = (3, 3, 3, 200, 3000, 20000)
_SECONDS = (0.0, 0.0, 0.02, 0.1, 0.3)
_LINGERING = 0.1


class Work(NamedTuple):
    """One task's: how many lines it writes, how long it sleeps, what it leaves in its session."""

    lines: int
    seconds: float
    company: str

    def words(self) -> list[str]:
        return ["sh", "-c", _SCRIPT, "sh", str(self.lines), f"{self.seconds:g}", self.company]

    def text(self, id: int) -> bytes:
        """Return what the task of this id writes."""
        numbers = "".join(f"{n}\n" for n in range(1, self.lines + 1))
        return f"begin {id}\n{numbers}end {id}\n".encode()


def choose(chance: random.Random) -> Work:
    company = "family" if chance.random() < _LINGERING else "alone"
    return Work(chance.choice(_LINES), chance.choice(_SECONDS), company)


def witnesses(ran: Path) -> dict[int, dict[int, float]]:
    """Return for each task the attempts that began, and when, in Unix seconds."""
    found: dict[int, dict[int, float]] = {}
    for path in ran.iterdir():
        if not path.name.startswith("x"):
            id, attempt = map(int, path.name.split("-"))
            found.setdefault(id, {})[attempt] = path.stat().st_mtime
    return found


def items_run(ran: Path, run: int) -> list[str]:
    """Return the items that a run of aque-xargs began, each as often as it did."""
    return sorted(path.name.split("-")[1] for path in ran.glob(f"x{run}-*"))
