"""The README is what people type first, so it is typed here first."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from docs import console

ROOT = console.ROOT
README = ROOT / "README.md"


def test_every_command_of_the_tour_shows_what_the_readme_says(tmp_path: Path) -> None:
    ran = console.run(README, tmp_path)
    assert len(ran) > 20
    for each in ran:
        console.check(each)


def test_the_tour_leaves_no_worker_behind(tmp_path: Path) -> None:
    texts = [command.text for command in console.commands(README)]
    started = [text for text in texts if text.startswith("aque-worker") and text.endswith("&")]
    assert len(started) == texts.count("kill $!") == 1


def test_the_first_command_sets_up_and_runs_the_main_job(tmp_path: Path) -> None:
    setup, _ = _alone()
    environ = {**console.environ(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["sh", "-c", setup], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert sorted(lines[:20]) == sorted(f"frame {number}" for number in range(1, 21))
    assert "20 children: 20 success" in lines[-1]


def test_the_second_command_is_the_whole_check() -> None:
    _, check = _alone()
    assert check == "bin/check"
    assert os.access(ROOT / check, os.X_OK)


def _alone() -> tuple[str, str]:
    """Return the two commands that each work alone on a fresh machine."""
    first, second = console.blocks(README, "sh")[:2]
    return first[1].strip(), second[1].strip()
