"""Own the screen of the watch that a page shows: a studio's queue at work, on a small terminal."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import started
from terminals import Terminal

from docs import console

PAGE = console.ROOT / "docs" / "commands" / "aque-status.md"

_SHOWN = re.compile(r"(<!-- the watch, .*? -->\n\n```text\n)(.*?)(```)", re.DOTALL)
#: What differs from run to run: each number with what belongs to it.
_NUMBER = re.compile(r"\d[\d.,:]*[a-zA-Z%]*")
_WORK = """
aque-submit --name 'shot 10 cloth' sh -c 'echo no licence >&2; exit 3'
aque-submit --name 'shot 10 caches' --cpus 0.1 sh -c 'aque-progress 40 of 100 frames; sleep 600'
seq 40 | aque-xargs --detach -n1 -P2 --name 'shot 20 frames' --cpus 0.1 \
    sh -c '[ $0 -le 30 ] || exec sleep 600'
aque-submit --name 'shot 20 comp' --after 3 true
aque-submit --name 'shot 30 sim' --hold true
"""


def shown() -> str:
    """Return the screen that the page shows."""
    found = _SHOWN.search(PAGE.read_text(encoding="utf-8"))
    assert found is not None
    return found[2]


def write(screen: str) -> bool:
    """Put a screen into the page where it differs; whether it did."""
    if is_alike(screen, shown()):
        return False
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_SHOWN.sub(lambda found: found[1] + screen + found[3], text), encoding="utf-8")
    return True


def is_alike(one: str, other: str) -> bool:
    """Whether two screens differ in nothing but numbers and blanks."""
    return _plain(one) == _plain(other)


def _plain(screen: str) -> str:
    lines = [" ".join(_NUMBER.sub("0", line).split()) for line in screen.splitlines()]
    return "\n".join(line for line in lines if line)


def draw(directory: Path) -> str:
    """Return the screen of a queue that is made and worked on in `directory`."""
    environ = {**console.environ(directory), "HOME": str(directory), "TERM": "linux"}
    environ |= {"XDG_STATE_HOME": str(directory / ".local" / "state"), "AQUE_BROKER": ""}
    subprocess.run(
        ["bash", "-ec", _WORK], env=environ, cwd=directory, check=True, capture_output=True
    )
    with started(["aque-worker", "--name", "desk"], env=environ), _watching(environ) as terminal:
        text = terminal.shows(
            "40 children: 30 success, 8 pending, 2 running", "caches  frames", "exit 3", "empty in",
            r"^ 2 running +\S+ +40% +\S+ +\d+ +\S+M ", r"(^3\d running +\S+ +\d+ +\S+M .*\n){2}",
        )  # fmt: skip
    return re.sub(r"\n\n+", "\n\n", text.rstrip()) + "\n"


@contextmanager
def _watching(environ: dict[str, str]) -> Iterator[Terminal]:
    terminal = Terminal(["aque-status", "--watch", "0.2"], environ)
    try:
        yield terminal
    finally:
        terminal.close()
