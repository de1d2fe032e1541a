"""The program through which root's worker starts a task of another user.

Only root may become somebody else, and only a process that does nothing but that should: so the
worker executes this program, with nothing of the task's environment (which could have the
interpreter load a library of its user's, while it is still root), and it drops, enters the task's
directory, opens the task's files as the task's user may, and becomes the command. Session and
process group are its own already. The request comes as JSON on the descriptor named by its
argument.
"""

from __future__ import annotations

import json
import os
import pwd
import signal
import sys
from collections.abc import Mapping
from typing import Any

#: Where the aque package is: no interpreter that is isolated (-I) looks there by itself.
PLACE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

_CANNOT = 126
_WRITING = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


def command(descriptor: int) -> list[str]:
    """Return the words that execute this program with a request on that descriptor."""
    return [sys.executable, "-I", "-S", os.path.abspath(__file__), str(descriptor)]


def marks(environ: Mapping[str, str]) -> dict[str, str]:
    """Return all that its own environment holds: by what a dead worker's jobs are found."""
    return {key: environ[key] for key in environ if key == "AQUE_JOB"}


def main() -> int:
    sys.path.append(PLACE)
    from aque.worker import files, spawn  # as root still: the user may be unable to read it

    with open(int(sys.argv[1]), "rb") as file:
        file.seek(0)  # whoever wrote it left it at its end
        request: dict[str, Any] = json.load(file)
    try:
        _drop(request["user"])
        _enter(request)
        for number in _IGNORED_BY_PYTHON:
            signal.signal(number, signal.SIG_DFL)
    except KeyError as error:
        return _complain(f"{error.args[0]}", _CANNOT)  # "getpwnam(): name not found: 'alice'"
    except OSError as error:
        return _complain(files.trouble(error, request), _CANNOT)
    try:
        spawn.become(request["command"], request["environ"])
    except OSError as error:
        return _complain(files.trouble(error, {}), spawn.exit_status_of(error))


def _drop(name: str) -> None:
    """Become a user for good: groups first, since afterwards nothing may be changed any more."""
    user = pwd.getpwnam(name)
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def _enter(request: dict[str, Any]) -> None:
    if request["umask"] is not None:
        os.umask(request["umask"])
    if request["cwd"] is not None:
        os.chdir(request["cwd"])
    stdin, out, err = request["stdin"], request["stdout"], request["stderr"]
    if stdin is not None:
        _put(0, stdin, os.O_RDONLY)
    if out is not None:
        _put(1, out, _WRITING)
    if err is not None and err == out:
        os.dup2(1, 2)
    elif err is not None:
        _put(2, err, _WRITING)


def _put(number: int, path: str, flags: int) -> None:
    opened = os.open(path, flags | os.O_NOCTTY, 0o666)
    os.dup2(opened, number)
    os.close(opened)


def _complain(text: str, status: int) -> int:
    os.write(2, f"aque: {text}\n".encode("utf-8", "surrogateescape"))
    return status


if __name__ == "__main__":
    sys.exit(main())
