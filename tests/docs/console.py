"""Own running the examples of a page as they are written.

A `console` block holds commands after `$ `, continued after `> `, and below each what it shows. All
blocks of a page are one session of bash. A `python` block whose first line is `# name.py` is that
file, and so is an `sh` block that begins with `#!/bin/sh` and `# name`. In what is shown, `...`
stands for anything; times and runs of blanks are all the same.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jobs import in_namespace
from support import eventually

from aque.worker import processes

ROOT = Path(__file__).resolve().parents[2]

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (\w+\.py)\n|#!/bin/sh\n# (\w+)\n")
_MARK = "\x1e"
_APART = ("--pid", "--fork", "--kill-child", "--mount-proc")
#: Seconds that a page may take.
_TIMEOUT = 150.0
_TIME = re.compile(r"\b\d+(\.\d+)?s\b")


@dataclass
class Command:
    """A command of a page, and the lines shown below it."""

    text: str
    shown: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Ran:
    """What a command wrote, standard error too, and how it ended."""

    command: Command
    written: str
    status: int


def blocks(page: Path, *languages: str) -> list[tuple[str, str]]:
    """Return the (language, text) of the blocks of a page in these languages."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [(language, text) for language, text in found if language in languages]


def commands(page: Path) -> list[Command]:
    """Return the commands of a page, in order."""
    return [command for _, text in blocks(page, "console") for command in parse(text)]


def parse(text: str) -> list[Command]:
    found: list[Command] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif line.startswith("> ") and not found[-1].shown:
            found[-1].text += "\n" + line[2:]
        else:
            found[-1].shown.append(line)
    return found


def pages() -> list[Path]:
    """Return the pages that have commands, all of which tests run."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if commands(page)]


def run(page: Path, directory: Path) -> list[Ran]:
    """Run all commands of a page in `directory`, in a queue of their own.

    Where it says killall, in a namespace of its own, where it meets nobody else's workers.
    """
    is_apart = any(command.text.startswith("killall") for command in commands(page))
    within = in_namespace(*_APART) if is_apart else []
    script, transcript = directory / ".session", directory / ".transcript"
    script.write_text(_session(page), encoding="utf-8")
    with open(transcript, "wb") as file:
        bash = subprocess.Popen(
            [*within, "bash", str(script)], cwd=directory, env=environ(directory),
            stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
        try:
            bash.wait(_TIMEOUT)
        finally:
            _end(bash)
    return list(_split(commands(page), transcript.read_text(encoding="utf-8")))


def check(ran: Ran) -> None:
    """Hold what a command wrote against what its page shows."""
    assert holds(ran), (
        f"$ {ran.command.text}\nwrote:\n{ran.written}\nand the page shows:\n"
        + "\n".join(ran.command.shown)
        + "\n(bin/docs screens writes what is so)"
    )


def holds(ran: Ran) -> bool:
    """Whether a command wrote what its page shows."""
    return is_shown(ran.written, "\n".join(ran.command.shown))


def is_shown(written: str, shown: str) -> bool:
    return re.fullmatch(_pattern(shown), _plain(written)) is not None


def environ(directory: Path) -> dict[str, str]:
    """Return the environment of somebody who has just set aque up."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AQUE_")}
    path = f"{Path(sys.executable).parent}:{ROOT / 'bin'}:{kept.get('PATH', os.defpath)}"
    state = {"XDG_STATE_HOME": str(directory / ".state"), "PYTHONWARNINGS": "error"}
    return {**kept, **state, "PATH": path, "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}


def _session(page: Path) -> str:
    """Return the script that saves each file and runs each command where the page has it."""
    written = []
    for language, text in blocks(page, "console", "python", "sh"):
        if language == "console":
            written += map(_marked, parse(text))
        elif match := _FILE.match(text):
            written.append(f"printf %s {shlex.quote(text)} > {match[1] or match[2]}\n")
    return "".join(written)


def _marked(command: Command) -> str:
    """Write a command and, after it, a line that says how it ended and leaves `$?` alone."""
    mark = f"printf '{_MARK}%d{_MARK}' $?; (exit $ended)"
    return f"{command.text}\nended=$?\n(exit $ended); {mark}\n"


def _split(listed: list[Command], transcript: str) -> Iterator[Ran]:
    pieces = transcript.split(_MARK)
    assert len(pieces) == 2 * len(listed) + 1, f"the session broke off:\n{transcript}"
    for command, written, status in zip(listed, pieces[::2], pieces[1::2]):
        yield Ran(command, written, int(status))


def _plain(text: str) -> str:
    lines = [re.sub(r" +", " ", _TIME.sub("0s", line)).strip() for line in text.splitlines()]
    return "\n".join(lines).strip("\n")


def _pattern(shown: str) -> str:
    """Return the regular expression of what a page shows."""
    return "(?s:.*)".join(re.escape(part) for part in _plain(shown).split("..."))


def _end(bash: subprocess.Popen[bytes]) -> None:
    """End what the session has left running, each process by its own id."""
    left = processes.of_session(bash.pid)
    processes.send(left, signal.SIGQUIT)  # a worker stops its tasks and ends
    try:
        eventually(lambda: not processes.of_session(bash.pid), 5)
    except AssertionError:
        processes.send(processes.of_session(bash.pid), signal.SIGKILL)
    bash.wait()
