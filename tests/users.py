"""Other users for the tests: alice, bob and eve, who exist in a mount namespace and nowhere else.

Their commands run in a namespace in which /etc/passwd and /etc/group also name them, and in which
they can reach the interpreter and this checkout wherever those are. The kernel knows no names, so
files and processes are theirs outside too; and whatever becomes of a test, nothing of them is left
on the machine. One process holds the namespace for as long as the tests run.
"""

from __future__ import annotations

import os
import shutil
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

#: Mounts /proc with the options that $0 names, and runs a command.
_MOUNT_PROC = 'mount -t proc -o "$0" proc /proc; exec "$@"'
_CHECKOUT = str(Path(__file__).resolve().parent.parent)


def words_as(user: str, *words: str, proc: str | None = None) -> list[str]:
    """Return the words that run a command as a user; skip where that cannot be.

    With `proc` it sees a /proc of its own, which is mounted with these options.
    """
    holder = _holder()
    if isinstance(holder, str):
        pytest.skip(holder)
    enter = ["nsenter", f"--mount=/proc/{holder.pid}/ns/mnt"]
    if proc is not None:
        enter += ["unshare", "-m", "sh", "-ec", _MOUNT_PROC, proc]
        if subprocess.run([*enter, "true"], check=False, capture_output=True).returncode:
            pytest.skip(f"no /proc with {proc} here")
    identity = str(USERS[user])
    become = ["setpriv", "--reuid", identity, "--regid", identity, "--init-groups"]
    return [*enter, *become, *words]


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
def _holder() -> subprocess.Popen[str] | str:
    """Return the process that holds the namespace, or why there can be none."""
    if os.geteuid() != 0:
        return "only root can be another user"
    missing = [name for name in ("unshare", "nsenter", "setpriv") if shutil.which(name) is None]
    if missing:
        return f"no {missing[0]}(1) here"
    holder = subprocess.Popen(
        ["unshare", "-m", sys.executable, "-I", __file__], cwd="/", text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout is not None
    if holder.stdout.readline() != "ready\n":
        return f"no namespace with other users here: {holder.communicate()[1]}"
    return holder


def leave() -> None:
    """End the namespace, if there is one."""
    if _holder.cache_info().currsize:
        holder = _holder()
        if not isinstance(holder, str):
            holder.communicate("")
        _holder.cache_clear()


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


if __name__ == "__main__":
    os.umask(0o022)
    _prepare()
    print("ready", flush=True)
    sys.stdin.read()
