"""Own the runners of a worker: those that are idle, and how one is started."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence

from aque import trust
from aque.task import Task
from aque.worker import files, kinds, runner
from aque.worker.kinds import Key
from aque.worker.outlet import Outlet
from aque.worker.runners import Runner, write
from aque.worker.spawn import Spawner

#: A runner's own descriptors are put below; its pipes are made above, in nobody's way.
_ABOVE = 10


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
        key = kinds.key_of(task)
        for idle in reversed(self._idle):
            if idle.key == key:
                self._idle.remove(idle)
                return idle
        self._most = max(self._most, len(self._pids) - len(self._idle) + 1)
        return self._start(key, environ)

    def give_back(self, used: Runner) -> None:
        if used.is_retired:
            used.close()
            return
        self._idle.append(used)
        while len(self._idle) > self._most:
            self._idle.pop(0).close()

    def last_tasks(self) -> list[Task]:
        """Return what those that are idle have run last."""
        return [idle.last for idle in self._idle if idle.last is not None]

    def forget(self, pid: int) -> bool:
        """Drop a runner that has ended and whose task has too; whether this pid was one."""
        for idle in self._idle:
            if idle.pid == pid:
                self._idle.remove(idle)
                idle.close()
                break
        was_runner = pid in self._pids
        self._pids.discard(pid)
        return was_runner

    def remember(self, pids: Iterable[int]) -> None:
        """Know again the runners of the program before a reload."""
        self._pids.update(pids)

    @property
    def pids(self) -> frozenset[int]:
        """Return those of all that live, busy ones and such that are about to exit too."""
        return frozenset(self._pids)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _start(self, key: Key, environ: Mapping[str, str]) -> Runner:
        package = os.path.dirname(os.path.dirname(os.path.abspath(runner.__file__)))
        command = [key[0], "-c", runner.BOOT, package]
        with files.Descriptors() as opened:
            pipes = [opened.pipe(lowest=_ABOVE) for _ in range(6)]
            (requests, to_runner), (tokens, to_tokens), *incoming = pipes
            (answers, from_runner), (records, from_records), (out, stdout), (err, stderr) = incoming
            returned = opened.again(tokens, _ABOVE)
            theirs = {
                0: opened.open(os.devnull, os.O_RDONLY), 1: stdout, 2: stderr,
                runner.REQUESTS: requests, runner.TOKENS: tokens,
                runner.ANSWERS: from_runner, runner.RECORDS: from_records,
            }  # fmt: skip
            for descriptor in (tokens, answers, records, out, err):
                os.set_blocking(descriptor, False)
            ours = (to_runner, to_tokens, returned, answers, records, out, err)
            pid = self._spawn(key[1], command, environ, theirs)
            opened.keep(ours)
        self._pids.add(pid)
        mark = f"\0aque:{os.urandom(8).hex()}\0"
        outlets = (Outlet(out, mark.encode()), Outlet(err, mark.encode()))
        started = Runner(key, pid, mark, *ours[:5], *outlets)
        try:
            write(to_runner, json.dumps({"mark": mark}).encode() + b"\n")
        except BrokenPipeError:
            pass  # no Python, it seems; its end will say more
        return started

    def _spawn(
        self, user: str, command: Sequence[str], environ: Mapping[str, str], theirs: dict[int, int]
    ) -> int:
        if user == self._user:
            return self._spawner.spawn(command, environ, theirs, own_session=True)
        nothing = dict.fromkeys(("cwd", "umask", "stdin", "stdout", "stderr"))
        request = {"user": user, "command": command, "environ": dict(environ), **nothing}
        return self._spawner.spawn_as(request, theirs)
