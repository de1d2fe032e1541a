"""Own how GNU xargs and ours are run as processes, side by side, and what they are compared by."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xargs import gnu

OURS = (sys.executable, "-m", "aque.commands.xargs")

#: Shows its arguments so that no two lists look alike, then ends as the first of them says.
TELL = (
    "sh",
    "-c",
    'printf "%s:" $#; [ $# = 0 ] || printf "%s\\0" "$@"; echo;'
    "case $1 in e*) exit ${1#e};; k) kill -9 $$;; esac",
    "sh",
)


@dataclass(frozen=True)
class Outcome:
    """What a run showed; the lines of standard output are sorted if the order was left open."""

    stdout: bytes
    stderr: bytes
    status: int


def environ(**more: str) -> dict[str, str]:
    """Return an environment that is small, and the same for both."""
    here = {name: os.environ[name] for name in ("PATH", "AQUE_BROKER") if name in os.environ}
    return {**here, "LC_ALL": "C.UTF-8", **more}


def run_gnu(argv: Sequence[str | bytes], data: bytes = b"", **options: Any) -> Outcome:
    gnu.path()
    return _outcome(["xargs", *argv], data, gnu.path(), options)


def run_ours(argv: Sequence[str | bytes], data: bytes = b"", **options: Any) -> Outcome:
    outcome = _outcome([*OURS, *argv], data, None, options)
    told = outcome.stderr.replace(b"aque-xargs", b"xargs")
    return Outcome(outcome.stdout, told, outcome.status)


def assert_alike(
    argv: Sequence[str | bytes],
    data: bytes = b"",
    is_ordered: bool = True,
    env: Mapping[str, str] | None = None,
    **options: Any,
) -> Outcome:
    """Run both; return what both did."""
    sort: Callable[[Outcome], Outcome] = (lambda outcome: outcome) if is_ordered else _sorted
    options["env"] = environ() if env is None else env
    theirs = sort(run_gnu(argv, data, **options))
    ours = sort(run_ours(argv, data, **options))
    assert ours == theirs, f"ours: {ours}\ntheirs: {theirs}"
    return theirs


def shell(script: str, program: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a script for sh in which `$X` is xargs."""
    words = ["sh", "-c", f"{_function(program)}; {script}"]
    options = {"env": environ(), "timeout": 30, "capture_output": True, **options}
    return subprocess.run(words, check=False, **options)


def _function(program: str) -> str:
    return "X() { " + program + ' "$@"; }'


def assert_scripts_alike(script: str, **options: Any) -> Outcome:
    """Run a script for sh in which X is GNU's, then ours; return what both did."""
    outcomes = []
    for program in (gnu.path(), " ".join(OURS)):
        done = shell(script, program, **options)
        told = done.stderr.replace(b"aque-xargs", b"xargs").replace(gnu.path().encode(), b"xargs")
        outcomes.append(Outcome(done.stdout, told, done.returncode))
    theirs, ours = outcomes
    assert ours == theirs, f"ours: {ours}\ntheirs: {theirs}"
    return outcomes[0]


def root() -> Path:
    return Path(__file__).resolve().parent.parent.parent


def _outcome(
    words: Sequence[str | bytes], data: bytes, executable: str | None, options: dict[str, Any]
) -> Outcome:
    options = {"env": environ(), "timeout": 30, "cwd": None, **options}
    if "stdin" not in options:
        options["input"] = data
    done = subprocess.run(words, executable=executable, capture_output=True, check=False, **options)
    return Outcome(done.stdout, done.stderr, done.returncode)


def _sorted(outcome: Outcome) -> Outcome:
    lines = b"".join(sorted(outcome.stdout.splitlines(keepends=True)))
    return Outcome(lines, outcome.stderr, outcome.status)
