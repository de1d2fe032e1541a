"""Own how a command is started: as directly as the system can.

os.posix_spawn uses vfork and costs a tenth of a fork; what it cannot do in the child (change the
directory, set the umask) is done here just before, which one thread allows. The program is found
here, once for each PATH and name, since posix_spawnp would search the worker's own PATH.
"""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

from aque.worker import files, shim

_FOUND_MOST = 1000

#: As bytes it need not be encoded for each command.
Environ = Mapping[str, str] | Mapping[bytes, str | bytes]


class Spawner:
    """Starts commands; remembers the umask it left, and the programs it found."""

    def __init__(
        self,
        ignored: frozenset[int] = frozenset(),
        posix_spawn: Callable[..., int] = os.posix_spawn,
    ) -> None:
        # Those that are ignored stay so in a child; what is handled here is reset by its exec.
        defaults = [number for number in _ignored() if number not in ignored]
        self._start = partial(posix_spawn, setsigmask=(), setsigdef=defaults)
        self._umask: int | None = None
        self._found: dict[tuple[str, str], str] = {}

    def enter(self, directory: str | None, umask: int | None) -> None:
        """Have the next command start there. Raises OSError if the directory cannot be entered."""
        if directory is not None:
            os.chdir(directory)  # each time: what has its name now may be another one
        if umask is not None and umask != self._umask:
            os.umask(umask)
            self._umask = umask

    def spawn(
        self,
        command: Sequence[str],
        environ: Environ,
        descriptors: Mapping[int, int],
        own_session: bool,
        path: str | None = None,
    ) -> int:
        """Start a command and return its pid.

        `descriptors` maps those of the child (0, 1, 2 and more) to ours. With `own_session` it
        leads a session and process group of its own. `path` is its PATH, where that need not be
        looked up. Raises OSError when it cannot be executed.
        """
        if path is None:
            path = str(environ.get("PATH", os.defpath))  # type: ignore[call-overload]
        how = {
            "file_actions": [(os.POSIX_SPAWN_DUP2, ours, its) for its, ours in descriptors.items()],
            "setsid": own_session,
        }
        known = (path, command[0])
        program = self._found.get(known)
        try:
            if program is not None:
                try:
                    return self._start(program, command, environ, **how)
                except (FileNotFoundError, PermissionError):
                    del self._found[known]  # it has gone: another may have its name
            program = self._find(*known)
            return self._start(program, command, environ, **how)
        except OSError as error:
            if error.errno != errno.ENOEXEC or program is None:
                raise OSError(error.errno, error.strerror, command[0]) from None
        script = ["sh", program, *command[1:]]  # no #!: as execvp does
        return self._start("/bin/sh", script, environ, **how)

    def spawn_as(self, request: Mapping[str, Any], descriptors: Mapping[int, int]) -> int:
        """Start what a request to the shim says, as its user, in a session of its own."""
        number = max(descriptors) + 1
        with files.Descriptors() as opened:
            theirs = {**descriptors, number: opened.holding(json.dumps(request).encode())}
            marks = shim.marks(request["environ"])
            return self.spawn(shim.command(number), marks, theirs, own_session=True)

    def _find(self, path: str, name: str) -> str:
        """Find a program; remember where, unless that means another one in another directory."""
        if "/" in name:
            return name
        found = find_program(name, path)
        if os.path.isabs(found):
            if len(self._found) >= _FOUND_MOST:
                self._found.clear()
            self._found[path, name] = found
        return found


def _ignored() -> list[int]:
    return [n for n in signal.valid_signals() if signal.getsignal(n) == signal.SIG_IGN]


def become(command: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Become a command, as it would have been started. Raises OSError where that cannot be."""
    name = command[0]
    program = name if "/" in name else find_program(name, environ.get("PATH", os.defpath))
    try:
        os.execve(program, list(command), dict(environ))
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise OSError(error.errno, error.strerror, command[0]) from None
    os.execve("/bin/sh", ["sh", program, *command[1:]], dict(environ))


def find_program(name: str, path: str) -> str:
    """Find a program as execvp does. Raises FileNotFoundError or PermissionError."""
    refused = False
    for directory in path.split(os.pathsep) if name else ():
        candidate = os.path.join(directory or ".", name)
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
        refused = refused or os.path.exists(candidate)
    if refused:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


def exit_status_of(error: OSError) -> int:
    """Return the status a shell gives a command that cannot be started."""
    return 127 if isinstance(error, FileNotFoundError) else 126
