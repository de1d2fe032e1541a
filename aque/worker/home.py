"""Own what a runner is between tasks, and puts back after each: a task is a guest.

Environment, directory, standard streams and their descriptors, `sys.argv`, `sys.path` and handlers
of signals are as they were when the next one begins. Modules stay imported, so the handlers that
they set meanwhile do too, and any higher recursion limit: they will not ask again. What cannot be
put back is remains.py's. What has not changed is only compared, since a task may take less time
than putting back.

After each task a mark is written to both output pipes, so that the worker knows where its output
ends and that of the next begins, whoever wrote it (C code, a child). The mark is random, told by
the worker, and a task that guessed it would spoil only the output of its own user.
"""

from __future__ import annotations

import os
import signal
import sys
from _signal import getsignal  # type: ignore[import-not-found]  # ten times as fast as signal's
from base64 import b64decode
from typing import Any

from aque import surroundings

_WRITING = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
#: Signals whose handlers are put back: those that tasks get. To ask of all takes a microsecond.
_SIGNALS = tuple(
    int(getattr(signal, f"SIG{name}"))
    for name in "HUP INT QUIT USR1 USR2 PIPE ALRM TERM CHLD TSTP".split()
)


class Home:
    """What this process was before its first task."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self._main = sys.modules["__main__"]
        self._streams = (sys.stdout, sys.stderr)
        self._stdin = open(0, closefd=False)  # noqa: SIM115
        self._environ = os.environ
        self._lists = (sys.argv, sys.path)  # a task may put others in their places
        self._path = list(sys.path)
        self._common: dict[str, Any] = {}
        self._has_files = False
        self._given: dict[str, str] = {}
        self._born = dict(self._raw())  # the environment without a task's own
        self._entered = dict(self._born)  # and as it is between tasks
        self._descriptors = {number: _keep(number) for number in (0, 1, 2)}
        self.keep_settings()

    def keep_settings(self) -> None:
        """Let the handlers of signals and the recursion limit of now be what is put back."""
        self._handlers = _handlers()
        self._recursion = sys.getrecursionlimit()

    def enter(self, common: dict[str, Any], id: int, attempt: int) -> None:
        """Take on a task's surroundings; what is `common` to its batch is looked at once."""
        if common is not self._common:
            self._begin_batch(common)
        self._tell(b"AQUE_TID", b"%d" % id)
        self._tell(b"AQUE_ATTEMPT", b"%d" % attempt)
        sys.argv, sys.path = self._lists
        sys.argv[:] = [""]
        if common["umask"] is not None:
            os.umask(common["umask"])
        if common["cwd"] is not None:
            os.chdir(common["cwd"])
        if sys.path != self._path:
            sys.path[:] = self._path
        if self._has_files:
            self._redirect(common)
        if self._stdin.closed:
            self._stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdin = self._stdin

    def _begin_batch(self, common: dict[str, Any]) -> None:
        if self._has_files:  # those before may have read ahead of theirs
            self._stdin = open(0, closefd=False)  # noqa: SIM115
        if common["environ"] != self._given:
            _put_back(self._born, dict(self._raw()))
            os.environ.update(common["environ"])
            self._given = common["environ"]
            self._entered = dict(self._raw())
        path = common["import_path"]
        if path is not None:
            before, behind = surroundings.split_import_path(path)
            self._path = list(dict.fromkeys([*before, *self._path, *behind]))
        files = ("stdin", "stdin_value", "stdout", "stderr")
        self._has_files = any(common[name] is not None for name in files)
        self._common = common

    def _tell(self, name: bytes, value: bytes) -> None:
        if self._entered.get(name) != value:
            os.environb[name] = self._entered[name] = value

    def _redirect(self, common: dict[str, Any]) -> None:
        if common["stdin_value"] is not None:
            import tempfile

            with tempfile.TemporaryFile() as file:
                file.write(b64decode(common["stdin_value"]))
                file.seek(0)
                os.dup2(file.fileno(), 0)
        elif common["stdin"] is not None:
            _put(0, common["stdin"], os.O_RDONLY)
        if common["stdin"] is not None:  # with nothing read ahead from another's
            self._stdin = open(0, closefd=False)  # noqa: SIM115
        out, err = common["stdout"], common["stderr"]
        if out is not None:
            _put(1, out, _WRITING)
        if err is not None and err == out:
            os.dup2(1, 2)
        elif err is not None:
            _put(2, err, _WRITING)

    def restore(self) -> None:
        """Put back what the task may have changed, and mark the end of its output."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        if _handlers() != self._handlers:
            _put_back_handlers(self._handlers)
        if sys.getrecursionlimit() < self._recursion:
            sys.setrecursionlimit(self._recursion)
        sys.modules["__main__"] = self._main
        sys.stdout, sys.stderr = self._streams
        for number, kept in self._descriptors.items():
            os.dup2(kept, number)
        os.environ = self._environ  # noqa: B003
        if self._raw() != self._entered:
            _put_back(self._entered, dict(self._raw()))
        for number in (1, 2):
            _write(self._descriptors[number], self._mark)

    def rest(self) -> None:
        """Hold nobody's directory busy while idle."""
        os.chdir("/")

    def _raw(self) -> dict[Any, Any]:
        """Return the dict beneath os.environ, which compares in a microsecond."""
        return getattr(self._environ, "_data", None) or dict(os.environb)


def _handlers() -> list[Any]:
    return list(map(getsignal, _SIGNALS))


def _put_back_handlers(handlers: list[Any]) -> None:
    for number, handler in zip(_SIGNALS, handlers):
        if getsignal(number) is not handler and handler is not None:
            signal.signal(number, handler)


def _put_back(entered: dict[Any, Any], now: dict[Any, Any]) -> None:
    for name in now.keys() - entered.keys():
        del os.environb[name]
    for name, value in entered.items():
        if now.get(name) != value:
            os.environb[name] = value


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _put(number: int, path: str, flags: int) -> None:
    """Open a file as this descriptor."""
    opened = os.open(path, flags | os.O_NOCTTY, 0o666)
    os.dup2(opened, number)
    os.close(opened)


def _keep(number: int) -> int:
    """Duplicate a descriptor to where no task's own come."""
    import fcntl

    return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10)
