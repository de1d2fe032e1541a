"""Other users for the tests: alice, bob and eve, who exist in a mount namespace and nowhere else.

Each command runs in a namespace of its own, in which /etc/passwd and /etc/group also name them, and
in which they can reach the interpreter and this checkout wherever those are. The kernel knows no
names, so files and processes are theirs outside too; and whatever becomes of a test, nothing of
them is left on the machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ALICE, BOB, EVE = "alice", "bob", "eve"
USERS = {"root": 0, ALICE: 61001, BOB: 61002, EVE: 61003}
#: Groups besides one's own: who shares a queue in the tests.
GROUPS = {"film": (61010, (ALICE, BOB)), "sound": (61011, (ALICE,))}
FILM = GROUPS["film"][0]

_CHECKOUT = str(Path(__file__).resolve().parent.parent)


def words_as(user: str, *words: str) -> list[str]:
    """Return the words that run a command as a user; skip where that cannot be."""
    _skip_unless_possible()
    return ["unshare", "-m", sys.executable, "-I", __file__, user, *words]


def aque_as(
    user: str, command: str, *arguments: str, status: int | None = 0, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run an aque command as a user to its end; it must end with `status`, unless that is None."""
    words = words_as(user, sys.executable, "-m", f"aque.commands.{command}", *arguments)
    environ = {**os.environ, "PYTHONPATH": _CHECKOUT, "PYTHONDONTWRITEBYTECODE": "1"}
    options = {"capture_output": True, "text": True, "timeout": 60, "cwd": "/", **options}
    options["env"] = {**environ, **options.get("env", {})}
    done = subprocess.run(words, check=False, **options)
    if status is not None:
        assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
    return done


@cache
def _why_not() -> str | None:
    if os.geteuid() != 0:
        return "only root can be another user"
    words = ["unshare", "-m", sys.executable, "-I", __file__, ALICE, sys.executable, "-c", "1"]
    try:
        done = subprocess.run(words, check=False, capture_output=True, text=True, cwd="/")
    except FileNotFoundError:
        return "no unshare(1) here"
    return done.stderr if done.returncode else None


def _skip_unless_possible() -> None:
    reason = _why_not()
    if reason is not None:
        pytest.skip(reason)


# Inside the namespace


def _prepare() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        homes = "".join(f"{u}:x:{i}:{i}::/tmp:/bin/sh\n" for u, i in USERS.items() if i)
        _replace("/etc/passwd", homes, scratch)
        own = "".join(f"{user}:x:{id}:\n" for user, id in USERS.items() if id)
        more = "".join(f"{g}:x:{id}:{','.join(m)}\n" for g, (id, m) in GROUPS.items())
        _replace("/etc/group", own + more, scratch)
        _open_up([_CHECKOUT, os.path.realpath(sys.base_prefix)], scratch)


def _replace(path: str, added: str, scratch: str) -> None:
    """Have a file say more, here and for as long as we are."""
    there = os.path.join(scratch, os.path.basename(path))
    with open(path) as old, open(there, "w") as new:
        new.write(old.read() + added)
    os.chmod(there, 0o644)
    _mount("--bind", there, path)


def _open_up(paths: list[str], scratch: str) -> None:
    """Let others enter directories on the way to these paths, by covering the private ones."""
    kept: dict[str, str] = {}
    for number, path in enumerate(paths):
        if _private(path):
            kept[path] = os.path.join(scratch, f"kept{number}")
            os.mkdir(kept[path])
            _mount("--bind", path, kept[path])
    for path, place in kept.items():
        for directory in _private(path)[:1]:
            _mount("-t", "tmpfs", "-o", "mode=755", "none", str(directory))
        os.makedirs(path, exist_ok=True)
        _mount("--bind", place, path)
        _run("umount", "-l", place)


def _private(path: str) -> list[Path]:
    above = [one for one in reversed(Path(path).parents) if one.exists()]
    return [one for one in above if not one.stat().st_mode & 0o001]


def _mount(*words: str) -> None:
    _run("mount", *words)


def _run(*words: str) -> None:
    subprocess.run(words, check=True)


def _become(user: str) -> None:
    import pwd

    found = pwd.getpwnam(user)
    os.initgroups(user, found.pw_gid)
    os.setgid(found.pw_gid)
    os.setuid(found.pw_uid)


if __name__ == "__main__":
    umask = os.umask(0o022)
    _prepare()
    os.umask(umask)
    _become(sys.argv[1])
    os.execv(sys.argv[2], sys.argv[2:])
