"""Own how a claimed task becomes a process: a command of its own, or a call in a warm runner."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aque import codec, trust
from aque.brokers.base import Broker
from aque.errors import AqueError
from aque.patterns import shell
from aque.record import record
from aque.task import Task, as_dict, shell_words
from aque.worker import files, leftovers
from aque.worker.job import Job
from aque.worker.nocalls import NoRunners
from aque.worker.output import Keeping, Stream, Tee
from aque.worker.reserve import Reserve
from aque.worker.room import is_shortage
from aque.worker.spawn import Spawner

if TYPE_CHECKING:
    from aque.worker.pool import Runners
    from aque.worker.runners import Runner

#: Environments remembered at a time.
_ENVIRONS = 100


@record(frozen=True)
class Foreground:
    """Jobs stay in our session and process group and share our output, as xargs' children do.

    They also share our standard input if it is `stdin_kept`, and ignore the signals that are
    `ignored` (by nohup, say). `slot_variable` is told the slot, from 0. A queue that is `private`
    and short-lived is not theirs to submit to. With a `tee` their output is read and stored, as
    that of other jobs, and the tee hears of it.
    """

    stdin_kept: bool = False
    ignored: frozenset[int] = frozenset()
    slot_variable: str | None = None
    private: bool = False
    tee: Tee | None = None


class PlaceError(AqueError):
    """A directory or file that a command was to start with cannot be used."""


class Starter:
    """Starts jobs. `marks` is what each job's environment is told besides its task's."""

    def __init__(
        self, broker: Broker, marks: Mapping[str, str], cpus: int, foreground: Foreground | None
    ) -> None:
        self._broker = broker
        self._marks = dict(marks)
        self._foreground = foreground
        if foreground is not None and foreground.private:
            del self._marks["AQUE_BROKER"]
        self.runners: Runners | NoRunners
        if foreground is None:
            from aque.worker.namesake import SpawningThread
            from aque.worker.pool import Runners

            self._spawner = Spawner(posix_spawn=SpawningThread())
            self.runners = Runners(self._spawner, cpus)
        else:
            self._spawner = Spawner(foreground.ignored)
            self.runners = NoRunners()
        self._user = trust.user_name()
        settings = broker.settings()
        self._keeping = Keeping(
            int(settings["output-inline"]),
            int(settings["output-limit"]),
            broker.open_output,
            Reserve(broker.shrink),
            None if foreground is None else foreground.tee,
        )
        self._environs: dict[int | None, dict[str, str]] = {}
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        is_stdin_kept = foreground is not None and foreground.stdin_kept
        #: The descriptors of a command that shares ours; what is so already takes no time.
        self._shared = {} if is_stdin_kept or files.is_null(0) else {0: self._null}
        self._slot_variable = None if foreground is None else foreground.slot_variable
        self._is_plain = foreground is not None and foreground.tee is None
        #: By the environment's id: it, encoded, with what was set for the last, and its PATH.
        self._encoded: dict[int | None, tuple[dict[bytes, str | bytes], str]] = {}

    @property
    def is_foreground(self) -> bool:
        return self._foreground is not None

    @property
    def descriptors(self) -> set[int]:
        """What of our own is needed to start commands."""
        return {self._null}

    def kind_of(self, task: Task) -> tuple[Any, ...] | None:
        """Return in what commands differ, beside their arguments, that need only to be started.

        None is for one that needs more: a file, a limit, to ask the queue, or that its parent is
        the same as that of all others, which who speaks of PPID may rely on.
        """
        if not self._is_plain or task.pattern != "shell" or task.environment not in self._encoded:
            return None
        if task.stdin is not None or task.timeout is not None or task.memory:
            return None
        if task.args is None or "PPID" in task.args:
            return None
        return task.environment, task.cpus, task.keep_background, task.kwargs

    def start(self, task: Task, slot: int) -> tuple[Job, Runner | None]:
        """Start a task's process, or have a runner begin it.

        Raises OSError, AqueError or ValueError where it cannot be started.
        """
        if self._is_plain and task.stdin is None and task.pattern == "shell":
            return self._start_plain(task, slot), None
        environ = self._environ(task)
        if self._is_foreign(task):  # the queue is not that user's to open
            environ = {key: environ[key] for key in environ if key != "AQUE_BROKER"}
        if task.pattern != "shell":
            return self._start_call(task, environ, slot)
        own = self._own(task, slot)
        start = self._start_as_other if self._is_foreign(task) else self._start_command
        return start(task, {**environ, **own}, slot), None

    def _own(self, task: Task, slot: int) -> dict[str, str]:
        own = _own(slot, task.cpus, task.keep_background, self._slot_variable)
        return {"AQUE_TID": str(task.id), "AQUE_ATTEMPT": str(task.attempt), **own}

    def _start_plain(self, task: Task, slot: int) -> Job:
        """Start a command that shares all that is ours: as xargs does, and as fast."""
        encoded = self._encoded.get(task.environment)
        if encoded is None:
            encoded = self._encoded[task.environment] = _encode(self._environ(task))
        environ, path = encoded
        environ[b"AQUE_TID"] = str(task.id)
        environ[b"AQUE_ATTEMPT"] = str(task.attempt)
        environ.update(_own_encoded(slot, task.cpus, task.keep_background, self._slot_variable))
        pid = self._spawner.spawn(_command(task), environ, self._shared, False, path)
        return Job(task, pid, slot, False)

    def _start_command(self, task: Task, environ: dict[str, str], slot: int) -> Job:
        command = _command(task)
        with files.Descriptors() as opened:
            incoming: dict[str, int] = {}
            is_own = self._foreground is None
            with _place_named(task):
                if is_own:  # else it stays where we are, though that may have lost its name
                    self._spawner.enter(task.cwd, task.umask)
                theirs = self._stdin(task, opened)
                if self._foreground is None or self._foreground.tee is not None:
                    theirs[1], theirs[2], incoming = files.outputs(task, opened)
            command = files.behind_fifos(command, task)
            pid = self._spawner.spawn(command, environ, theirs, is_own)
            opened.keep(incoming.values())
        streams = [self.stream(task, name, fd) for name, fd in incoming.items()]
        return Job(task, pid, slot, is_own, streams)

    def _start_as_other(self, task: Task, environ: dict[str, str], slot: int) -> Job:
        """Start a command of another user, who also opens its files: root must not."""
        command = shell.argument_list(_values(task.args, ()), _values(task.kwargs, {}))
        is_stored = task.stdin == files.STORED
        with files.Descriptors() as opened:
            pipes = files.pipes(task, opened)
            stdin = self._broker.stdin_value(task.id) if is_stored else None
            theirs = {0: self._null if stdin is None else opened.holding(stdin)}
            theirs[1] = pipes["stdout"][1] if "stdout" in pipes else self._null
            theirs[2] = pipes["stderr"][1] if "stderr" in pipes else self._null
            request = {
                "user": task.user, "command": command, "environ": environ, "cwd": task.cwd,
                "umask": task.umask, "stdin": None if is_stored else task.stdin,
                "stdout": task.stdout, "stderr": task.stderr,
            }  # fmt: skip
            pid = self._spawner.spawn_as(request, theirs)
            opened.keep(read for read, _ in pipes.values())
        streams = [self.stream(task, name, read) for name, (read, _) in pipes.items()]
        return Job(task, pid, slot, True, streams)

    def _is_foreign(self, task: Task) -> bool:
        """Whether a task is another user's, which only a worker of root's is given."""
        return task.user != self._user and self._foreground is None

    def _stdin(self, task: Task, opened: files.Descriptors) -> dict[int, int]:
        if task.stdin == files.STORED:
            return {0: opened.holding(self._broker.stdin_value(task.id) or b"")}
        if task.stdin is not None and not files.is_fifo(task.stdin):
            return {0: opened.open(task.stdin, os.O_RDONLY)}
        return {} if self._foreground and self._foreground.stdin_kept else {0: self._null}

    def _start_call(self, task: Task, environ: dict[str, str], slot: int) -> tuple[Job, Runner]:
        is_stored = task.stdin == files.STORED
        stdin_value = (self._broker.stdin_value(task.id) or b"") if is_stored else None
        common = self.common_of(task, slot, stdin_value)
        runners = self.runners
        assert not isinstance(runners, NoRunners)
        while True:
            runner = runners.take(task, environ)
            is_new = runner.number == 0
            try:
                runner.send(common, [task])
                break
            except BrokenPipeError:  # it died; its end is yet to be noted
                if is_new:
                    break
                runner.close()
        return Job(task, runner.pid, slot, own_session=True, is_python=True), runner

    def common_of(
        self, task: Task, slot: int, stdin_value: bytes | None = None
    ) -> Mapping[str, Any]:
        """Return what a runner must know of tasks like this one."""
        from aque.worker import kinds

        return kinds.common_of(task, _own(slot, task.cpus, task.keep_background), stdin_value)

    def stream(self, task: Task, name: str, descriptor: int) -> Stream:
        return Stream(self._keeping, task, name, descriptor)

    def _environ(self, task: Task) -> dict[str, str]:
        if task.environment not in self._environs:
            if len(self._environs) >= _ENVIRONS:
                self._environs.clear()
                self._encoded.clear()
            stored = None if task.environment is None else self._broker.environ(task.environment)
            self.know_environ(task.environment, stored or {})
        return self._environs[task.environment]

    def know_environ(self, environment: int | None, environ: Mapping[str, str]) -> None:
        """Remember what an environment is, with the marks every job gets."""
        self._environs[environment] = {**environ, **self._marks}

    def close(self) -> None:
        self.runners.close()
        os.close(self._null)


@lru_cache(maxsize=1000)
def _own(
    slot: int, cpus: float, keep_background: bool, slot_variable: str | None = None
) -> Mapping[str, str]:
    """Return the variables of a task's own, but for those of the attempt itself."""
    own = {"AQUE_SLOT": str(slot), "AQUE_CPUS": f"{cpus:g}"}
    if keep_background:
        own[leftovers.MARK] = ""  # by which what our jobs left is found, and killed
    if slot_variable is not None:
        own[slot_variable] = str(slot - 1)
    return own


@lru_cache(maxsize=1000)
def _own_encoded(
    slot: int, cpus: float, keep_background: bool, slot_variable: str | None
) -> Mapping[bytes, str]:
    own = _own(slot, cpus, keep_background, slot_variable)
    return {os.fsencode(key): text for key, text in own.items()}


def _encode(environ: Mapping[str, str]) -> tuple[dict[bytes, str | bytes], str]:
    encoded: dict[bytes, str | bytes] = {
        os.fsencode(key): os.fsencode(text) for key, text in environ.items()
    }
    return encoded, environ.get("PATH", os.defpath)


def _command(task: Task) -> list[str]:
    words = None if task.kwargs else shell_words(task)
    if words:
        return words
    return shell.argument_list(_values(task.args, ()), _values(task.kwargs, {}))


def _values(text: str | None, default: Any) -> Any:
    return default if text is None else codec.decode(text)


@contextmanager
def _place_named(task: Task) -> Iterator[None]:
    """Name a place that cannot be used (126), which is no command that is not found (127)."""
    try:
        yield
    except OSError as error:
        if is_shortage(error):
            raise
        raise PlaceError(files.trouble(error, as_dict(task))) from error
