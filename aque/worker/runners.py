"""Own the aque-runner processes of a worker: warm, one task at a time each.

A Python task in a process of its own would pay 20 ms and more for the interpreter and its imports,
so runners stay. Tasks of one runner share its modules, hence one per (interpreter, user,
environment, import path), and never two tasks at once. Its pipes stay too: the worker reads them
until EAGAIN after each answer, by which all that the task wrote has arrived (fresh pipes for each
task halve the rate). A runner is not used again once its task left threads or children behind, or
was killed.
"""

from __future__ import annotations

import json
import os
import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aque import states, trust
from aque.task import End, Task
from aque.worker import files, runner
from aque.worker.spawn import Spawner

#: A runner's own descriptors are put below; its pipes are made above, in nobody's way.
_ABOVE = 10

#: Interpreter, user, environment and import path.
Key = tuple[str, str, "int | None", "str | None"]


@dataclass(slots=True)
class Runner:
    """One runner process: `requests` is written to; the others are read, without waiting."""

    key: Key
    pid: int
    requests: int
    answers: int
    stdout: int
    stderr: int
    is_retired: bool = False
    is_at_end: bool = False
    #: Its answer, while output of the task is yet to be kept.
    answer: dict[str, Any] | None = None
    buffer: bytearray = field(default_factory=bytearray)

    def send(self, request: dict[str, Any]) -> None:
        """Raises OSError when the runner is gone."""
        data = json.dumps(request).encode() + b"\n"
        while data:
            data = data[os.write(self.requests, data) :]

    def read_answer(self) -> dict[str, Any] | None:
        """Return the answer when all of it is there; `is_at_end` tells that none will come."""
        while not self.buffer.endswith(b"\n"):
            try:
                data = os.read(self.answers, 65536)
            except BlockingIOError:
                return None
            if not data:
                self.is_at_end = True
                return None
            self.buffer += data
        answer: dict[str, Any] = json.loads(self.buffer)
        self.buffer.clear()
        return answer

    def close(self) -> None:
        """Close our ends; an idle runner then exits."""
        for descriptor in (self.requests, self.answers, self.stdout, self.stderr):
            if descriptor >= 0:
                os.close(descriptor)
        self.requests = self.answers = self.stdout = self.stderr = -1


class Runners:
    """The idle runners, the most recently used last, and the pids of all that live.

    As many stay as cpus, or as were ever busy at once: tasks that take less than a cpu each would
    otherwise have a new runner each.
    """

    def __init__(self, spawner: Spawner, most: int) -> None:
        self._spawner = spawner
        self._user = trust.user_name()
        self._most = most
        self._idle: list[Runner] = []
        self._pids: set[int] = set()

    def take(self, task: Task, environ: Mapping[str, str]) -> Runner:
        """Return a runner for this task, a new one where none is idle. Raises OSError."""
        interpreter = task.interpreter or sys.executable
        key = (interpreter, task.user, task.environment, task.import_path)
        for runner_ in reversed(self._idle):
            if runner_.key == key:
                self._idle.remove(runner_)
                return runner_
        self._most = max(self._most, len(self._pids) - len(self._idle) + 1)
        return self._start(key, environ)

    def give_back(self, used: Runner) -> None:
        if used.is_retired:
            used.close()
            return
        self._idle.append(used)
        while len(self._idle) > self._most:
            self._idle.pop(0).close()

    def forget(self, pid: int) -> bool:
        """Drop a runner that has ended and whose task has too; whether this pid was one."""
        for runner_ in self._idle:
            if runner_.pid == pid:
                self._idle.remove(runner_)
                runner_.close()
                break
        was_runner = pid in self._pids
        self._pids.discard(pid)
        return was_runner

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _start(self, key: Key, environ: Mapping[str, str]) -> Runner:
        package = os.path.dirname(os.path.dirname(os.path.abspath(runner.__file__)))
        command = [key[0], "-c", runner.BOOT, package]
        with files.Descriptors() as opened:
            pipes = [opened.pipe(lowest=_ABOVE) for _ in range(4)]
            (requests, to_runner), (from_runner, answers), (out, stdout), (err, stderr) = pipes
            null = opened.open(os.devnull, os.O_RDONLY)
            own = {runner.REQUESTS: requests, runner.ANSWERS: answers}
            theirs = {0: null, 1: stdout, 2: stderr, **own}
            pid = self._spawn(key[1], command, environ, theirs)
            opened.keep((to_runner, from_runner, out, err))
        for descriptor in (from_runner, out, err):
            os.set_blocking(descriptor, False)
        self._pids.add(pid)
        return Runner(key, pid, to_runner, from_runner, out, err)

    def _spawn(
        self, user: str, command: Sequence[str], environ: Mapping[str, str], theirs: dict[int, int]
    ) -> int:
        if user == self._user:
            return self._spawner.spawn(command, environ, theirs, own_session=True)
        nothing = dict.fromkeys(("cwd", "umask", "stdin", "stdout", "stderr"))
        request = {"user": user, "command": command, "environ": dict(environ), **nothing}
        return self._spawner.spawn_as(request, theirs)


def request_for(
    task: Task, environ: Mapping[str, str], stdin_value: bytes | None
) -> dict[str, Any]:
    """Return what a runner must know of a task; `environ` is what differs from its own."""
    return {
        "id": task.id,
        "pattern": task.pattern,
        "func": task.func,
        "args": task.args,
        "kwargs": task.kwargs,
        "cwd": task.cwd,
        "umask": task.umask,
        "import_path": task.import_path,
        "stdin": task.stdin,
        "stdin_value": None if stdin_value is None else b64encode(stdin_value).decode(),
        "stdout": task.stdout,
        "stderr": task.stderr,
        "environ": dict(environ),
    }


def end_of(task: Task, answer: Mapping[str, Any], now: float) -> End:
    """Return the end that a runner's answer tells of."""
    status = answer["status"]
    return End(
        task.id, task.attempt, status if status in states.COMPLETE_STATES else states.ERROR, now,
        exit_status=answer.get("exit_status"), result=answer.get("result"),
        exception=answer.get("exception"), error=answer.get("error"),
        user_time=answer.get("user_time"), system_time=answer.get("system_time"),
        max_rss=answer.get("max_rss"),
    )  # fmt: skip
