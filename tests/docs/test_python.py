"""The page for Python users is true: each of its examples is run, and shows what it says."""

from __future__ import annotations

import re
from pathlib import Path

from docs import console

PAGE = console.ROOT / "docs" / "python.md"
#: What the examples need and the tests do not install: a stand-in for it.
STAND_INS = {
    "tqdm.py": """
class tqdm:
    def __init__(self, items, desc=None):
        self.items, self.n, self.total, self.desc = items, 0, len(items), desc

    def __iter__(self):
        for item in self.items:
            yield item
            self.update()

    def update(self, n=1):
        self.n += n
        return True
"""
}


def test_every_example_shows_what_the_page_says(tmp_path: Path) -> None:
    ran = console.run(PAGE, tmp_path)
    assert len(ran) > 10
    for each in ran:
        console.check(each)


def test_every_program_of_the_page_is_run_or_imported_by_one() -> None:
    texts = [text for _, text in console.blocks(PAGE, "python")]
    commands = "\n".join(command.text for command in console.commands(PAGE))
    for text in texts:
        match = re.match(r"# (\w+)\.py\n", text)
        assert match is not None, text
        is_imported = any(f"from {match[1]} import" in other for other in texts)
        assert f"python {match[1]}.py" in commands or is_imported or match[1] == "bars", match[1]


def test_a_bar_of_tqdm_reports_progress(tmp_path: Path) -> None:
    (text,) = [t for _, t in console.blocks(PAGE, "python") if t.startswith("# bars.py")]
    (tmp_path / "bars.py").write_text(text, encoding="utf-8")
    for name, content in STAND_INS.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / "main.py").write_text(
        "import aque, bars\n"
        "if __name__ == '__main__':\n"
        "    with aque.Executor('queue.db', workers=1) as executor:\n"
        "        future = executor.submit(bars.render, 30)\n"
        "        future.result()\n"
        "    print(executor.queue.future(future.id).progress())\n",
        encoding="utf-8",
    )
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "main.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == "Progress(done=30.0, total=30.0, message='frames')\n", done.stderr
