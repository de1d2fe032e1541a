"""Own the aque-runner processes of a worker: warm, one call at a time each.

A Python call in a process of its own would pay 20 ms and more for the interpreter and its imports,
so runners stay. Calls of one runner share its modules, hence one per (interpreter, user,
environment, import path), and never two calls at once. Its pipes stay too (fresh ones for each call
halve the rate). A runner is not used again once a call left threads, children or much memory
behind, or was killed.

Calls that take less time than it takes to tell of them are sent several at once (calls.py decides
which). What was sent may have to be taken back: the call before it takes long after all, or is to
be killed. A pipe decides who has a call, since each read of one is atomic: its token is taken from
the same pipe by the runner, which then runs it, or by us, and then it never begins. Portable, and
no lock. Rejected: messages that revoke (the runner may have begun meanwhile), shared memory (no
compare-and-swap in Python), one call in flight only (each costs two switches of context, 100 us).
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aque import trust
from aque.task import Task
from aque.worker import answers, files, kinds, runner
from aque.worker.answers import Answer
from aque.worker.kinds import Key
from aque.worker.outlet import Outlet
from aque.worker.spawn import Spawner

#: A runner's own descriptors are put below; its pipes are made above, in nobody's way.
_ABOVE = 10

#: Bytes of requests that surely fit into the pipe of a runner that does not read yet.
ROOM = 48_000


class Sent(NamedTuple):
    """A call that a runner has, or may take; `size` bytes were sent with it."""

    number: int
    task: Task
    size: int


@dataclass(slots=True)
class Runner:
    """One runner process, and the ends of its pipes that are ours.

    The first of `sent` is what it runs, the rest wait behind. `returned` is the end of the tokens'
    pipe from which we take back. One that `is_garbled` has said what no runner says.
    """

    key: Key
    pid: int
    mark: str
    requests: int
    tokens: int
    returned: int
    answers: int
    records: int
    stdout: Outlet
    stderr: Outlet
    number: int = 0
    is_retired: bool = False
    is_garbled: bool = False
    is_at_end: bool = False
    sent: deque[Sent] = field(default_factory=deque)
    answered: deque[Answer] = field(default_factory=deque)
    buffer: bytearray = field(default_factory=bytearray)
    records_buffer: bytes = b""
    #: What it has run last.
    last: Task | None = None

    def send(self, common: Mapping[str, Any], tasks: Sequence[Task]) -> None:
        """Send calls that share all but their arguments. Raises OSError when it is gone."""
        calls = [[task.id, task.attempt, task.args, task.kwargs] for task in tasks]
        batch = {"first": self.number, "common": common, "calls": calls}
        data = json.dumps(batch).encode() + b"\n"
        fits = len(data) < self.room
        numbers = range(self.number, self.number + len(tasks))
        size = len(data) // len(tasks)
        self.sent.extend(Sent(number, task, size) for number, task in zip(numbers, tasks))
        self.number += len(tasks)
        tokens = b"".join(n.to_bytes(runner.TOKEN_SIZE, "little") for n in numbers)
        if not fits:  # it reads requests only when it has a token, and these fill the pipe
            _write(self.tokens, tokens)
        try:
            _write(self.requests, data)
        finally:
            if fits:  # the tokens last: it wakes once, and finds all
                _write(self.tokens, tokens)

    def send_some(self, common: Mapping[str, Any], batch: list[Task], most: int) -> list[Task]:
        """Send of a batch what there is room for, and so many at most; return the rest."""
        room = self.room - 4 * sum(len(str(value)) for value in common.values())
        count = 0
        while count < min(most, len(batch)) and room > 0:
            task = batch[count]
            room -= 100 + 2 * len(task.args or "") + 2 * len(task.kwargs or "")
            count += room > 0
        if count:
            try:
                self.send(common, batch[:count])
            except BrokenPipeError:  # it has ended; when that is noted they are taken back
                pass
        return batch[count:]

    def take_back(self, is_dead: bool = False) -> list[Task]:
        """Take back the calls that it has not begun; it never will.

        Of one `is_dead` the first is left, which it died of, or with.
        """
        taken = set()
        while token := _read(self.returned, runner.TOKEN_SIZE):
            taken.add(int.from_bytes(token, "little"))
        if is_dead and self.sent:
            taken.discard(self.sent[0].number)
        returned = [each.task for each in self.sent if each.number in taken]
        if returned:
            self.sent = deque(each for each in self.sent if each.number not in taken)
        return returned

    def read_answers(self) -> None:
        """Read the answers that are there; `is_at_end` tells that no more will come."""
        data = _read(self.answers, 1 << 18)
        if data is None:
            return
        if not data:
            self.is_at_end = True
        self.buffer += data
        if b"\n" in data:  # not in all there is: an answer may be large, and comes piece by piece
            *lines, self.buffer = self.buffer.split(b"\n")
            self._hear(lines)
        self.is_garbled |= len(self.buffer) > answers.MOST

    def _hear(self, lines: Sequence[bytearray]) -> None:
        try:
            found = answers.parse(lines)
        except ValueError:
            self.is_garbled |= len(lines) == 1
            for line in lines if len(lines) > 1 else ():  # what is said before that counts
                self._hear([line])
            return
        for answer in found:
            turn = len(self.answered)
            if turn < len(self.sent) and answer.number == self.sent[turn].number:
                self.answered.append(answer)
            else:
                self.is_garbled = True

    def read_records(self) -> list[list[Any]]:
        """Return the records that are there: kind, id, attempt, and what they say."""
        data = b""
        while more := _read(self.records, 1 << 16):
            data += more
        *lines, self.records_buffer = (self.records_buffer + data).split(b"\n")
        self.is_garbled |= len(self.records_buffer) > answers.MOST
        found = []
        for line in lines:
            try:
                found.append(answers.parse_record(line))
            except ValueError:
                self.is_garbled = True
        return found

    @property
    def room(self) -> int:
        """How many bytes can be sent without waiting for it to read."""
        return ROOM - sum(each.size for each in self.sent)

    def descriptors(self) -> list[int]:
        return [self.requests, self.tokens, self.returned, self.answers, self.records,
                self.stdout.descriptor, self.stderr.descriptor]  # fmt: skip

    def close(self) -> None:
        """Close our ends; an idle runner then exits."""
        for descriptor in self.descriptors():
            if descriptor >= 0:
                os.close(descriptor)
        self.requests = self.tokens = self.returned = self.answers = self.records = -1
        self.stdout.descriptor = self.stderr.descriptor = -1


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
            _write(to_runner, json.dumps({"mark": mark}).encode() + b"\n")
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


def _read(descriptor: int, size: int) -> bytes | None:
    """Read what is there; None where nothing is, b"" at the end."""
    try:
        return os.read(descriptor, size)
    except BlockingIOError:
        return None


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
