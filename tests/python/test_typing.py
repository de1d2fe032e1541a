"""What mypy --strict knows of a program that uses aque: everything, and without a complaint."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
from concurrent.futures import as_completed

import aque
from aque import Executor, Future, Queue, codec
from aque.brokers.events import Event

queue = Queue()


def area(width: float, height: float) -> float:
    return width * height


@queue.task(cpus=2)
def double(number: int) -> int:
    return 2 * number


def heard(event: Event) -> None:
    print(event.id)


class Shape:
    pass


def make(parts: object) -> Shape:
    return Shape()


codec.register(Shape, "shape", lambda shape: 1, make)
future: Future[float] = queue.submit(area, 1, height=2)
doubled: Future[int] = double.submit(1)
many: list[Future[int]] = double.map([1, 2])
plain: int = double(3)
with Executor(workers=2, priority=5) as executor:
    submitted = executor.submit(area, 1, 2)
    value: float = submitted.result()
    id: int = submitted.id
    for each in as_completed([submitted]):
        reveal_type(each.result())
    for result in executor.map(area, [1.0], [2.0]):
        reveal_type(result)
reveal_type(future.result())
reveal_type(doubled.result())
queue.broker.bind("task_status", heard)
aque.progress(1, 2, "half")

# Futures stand for their results, and both kinds are waited for.
linked: Future[float] = queue.submit(area, future, height=future)
greatest: Future[float] = queue.submit(max, *[future, future])
again: Future[int] = double.submit(doubled)
with Executor() as executor:
    after = executor.submit(area, executor.submit(area, 1.0, 2.0), 2.0)
    reveal_type(after.result())
    reveal_type(aque.wait([after]).done)
    for ended in aque.as_completed([future]):
        reveal_type(ended.result())
double("wrong")
wrong: Future[str] = queue.submit(area, 1, 2)
aque.wait([1])
"""


def test_a_program_is_checked_strictly(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM, encoding="utf-8")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", root / ".mypy_cache", path],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    notes = [line for line in done.stdout.splitlines() if "Revealed type" in line]
    revealed = [line.split('"')[1].removeprefix("builtins.") for line in notes]
    results = ["float", "float", "float", "int", "float", "set[aque.pending.Pending[float]]"]
    assert revealed == [*results, "float"], done.stdout
    complaints = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(complaints) == 3, done.stdout
    assert "incompatible type" in complaints[0], done.stdout
    assert 'expected "Callable[..., str]"' in complaints[1], done.stdout
    assert '"wait" cannot be "int"' in complaints[2], done.stdout
