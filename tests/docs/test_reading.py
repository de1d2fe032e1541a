"""The page on reading a queue: its views are there, and its questions have answers."""

from __future__ import annotations

import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from aque import brokers
from aque.queue import Queue
from docs import console

PAGE = console.ROOT / "docs" / "reading.md"


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="sqlite3 is not installed")
def test_the_examples_of_the_page_show_what_it_says(tmp_path: Path) -> None:
    for ran in console.run(PAGE, tmp_path):
        console.check(ran)


def test_the_questions_of_the_page_have_answers(own_queue: str) -> None:
    queue = Queue()
    first = queue.submit_ex(pattern="shell", args=["sh", "-c", 'echo "a b" \\\\ c'], name="x")
    queue.submit_ex(pattern="shell", args=["true"], after=[first])
    queue.submit(sorted, [2, 1])
    reader = sqlite3.connect(f"file:{brokers.path_of()}?mode=ro", uri=True)
    try:
        for _, question in console.blocks(PAGE, "sql"):
            assert reader.execute(question).description
        found = reader.execute("SELECT id, status, command FROM task_view ORDER BY id").fetchall()
        assert found == [
            (1, "pending", 'sh -c echo "a b" \\\\ c'),
            (2, "pending", "true"),
            (3, "pending", "builtins:sorted [[2,1]]"),
        ]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("DELETE FROM task")
    finally:
        reader.close()


@pytest.mark.parametrize("view", ["task_view", "output_view", "dependency_view"])
def test_the_page_names_each_column_of_a_view(own_queue: str, view: str) -> None:
    Queue()
    reader = sqlite3.connect(f"file:{brokers.path_of()}?mode=ro", uri=True)
    columns = {row[1] for row in reader.execute(f"PRAGMA table_info({view})")}
    reader.close()
    item = PAGE.read_text(encoding="utf-8").partition(f"- `{view}`")[2].partition("\n- `")[0]
    named = set(re.findall(r"`(\w+)`", item.partition("\n\n")[0]))
    assert columns - {"id"} <= named
