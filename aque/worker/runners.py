"""Own an aque-runner process as its worker has it: warm, one call at a time.

A Python call in a process of its own would pay 20 ms and more for the interpreter and its imports,
so runners stay. Calls of one runner share its modules, hence one per (interpreter, user,
environment, import path), and never two calls at once. Its pipes stay too (fresh ones for each call
halve the rate). A runner is not used again once a call left what cannot be put back (remains.py),
or was killed.

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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aque.task import Task
from aque.worker import answers, runner
from aque.worker.answers import Answer
from aque.worker.kinds import Key
from aque.worker.outlet import Outlet
from aque.worker.pieces import Pieces

#: Bytes of requests that surely fit into the pipe of a runner that does not read yet.
ROOM = 48_000
#: Bytes that a call may take beside its arguments, and of the room what calls have in common.
_BESIDE, _COMMON = 100, 8000
#: Handed over a reload as they are.
_KEPT = "key pid mark requests tokens returned answers records number".split()


class Sent(NamedTuple):
    """A call that a runner has, or may take; `until` counts the bytes sent to the end of it."""

    number: int
    task: Task
    until: int


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
    #: Bytes of requests that were sent, those of them that it has surely read, and of a call.
    written: int = 0
    read: int = 0
    each: int = 0
    is_retired: bool = False
    is_garbled: bool = False
    is_at_end: bool = False
    sent: deque[Sent] = field(default_factory=deque)
    answered: deque[Answer] = field(default_factory=deque)
    buffer: bytearray = field(default_factory=bytearray)
    records_buffer: bytes = b""
    pieces: Pieces = field(default_factory=Pieces)
    #: What it has run last.
    last: Task | None = None

    def send(self, common: Mapping[str, Any], tasks: Sequence[Task]) -> None:
        """Send calls that share all but their arguments. Raises OSError when it is gone."""
        calls = [[task.id, task.attempt, task.args, task.kwargs] for task in tasks]
        batch = {"first": self.number, "common": common, "calls": calls}
        data = json.dumps(batch).encode() + b"\n"
        fits = len(data) < self.room
        numbers = range(self.number, self.number + len(tasks))
        self.written += len(data)
        self.each = len(data) // len(tasks)
        self.sent.extend(Sent(number, task, self.written) for number, task in zip(numbers, tasks))
        self.number += len(tasks)
        tokens = b"".join(n.to_bytes(runner.TOKEN_SIZE, "little") for n in numbers)
        if not fits:  # it reads requests only when it has a token, and these fill the pipe
            write(self.tokens, tokens)
        try:
            write(self.requests, data)
        finally:
            if fits:  # the tokens last: it wakes once, and finds all
                write(self.tokens, tokens)

    def send_some(self, common: Mapping[str, Any], batch: list[Task], most: int) -> list[Task]:
        """Send of a batch what there is room for, and so many at most; return the rest."""
        room = self.room - 4 * sum(len(str(value)) for value in common.values())
        count = 0
        while count < min(most, len(batch)) and room > 0:
            task = batch[count]
            room -= _BESIDE + 2 * len(task.args or "") + 2 * len(task.kwargs or "")
            count += room > 0
        if count:
            try:
                self.send(common, batch[:count])
            except BrokenPipeError:  # it has ended; when that is noted they are taken back
                pass
        return batch[count:]

    def drop_first(self) -> Task:
        """Forget the first call, which it has answered: so it has read what was sent with that."""
        _, task, self.read = self.sent.popleft()
        self.last = task
        self.pieces.end(task.id)
        return task

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
        found = []
        for line in lines:
            try:
                record = self._whole(answers.parse_record(line))
            except ValueError:
                self.is_garbled = True
            else:
                found += [record] if record else []
        self.is_garbled |= len(self.records_buffer) + self.pieces.size > answers.MOST
        return found

    def _whole(self, record: list[Any]) -> list[Any] | None:
        """Return a record, or the one of which it is the last piece. Raises ValueError."""
        kind, id, attempt, *values = record
        if kind != "piece":
            return record
        line = self.pieces.take(id, *values) if self.has(id, attempt) else None
        whole = None if line is None else answers.parse_record(line)
        if whole is not None and whole[0] == "piece":
            raise ValueError("a piece of pieces")
        return whole

    def has(self, id: int, attempt: int) -> bool:
        """Whether it has, or waits to have, this task."""
        return any((each.task.id, each.task.attempt) == (id, attempt) for each in self.sent)

    @property
    def room(self) -> int:
        """How many bytes can be sent without waiting for it to read.

        It has yet to read what was taken back too: who counts only what it has to run fills the
        pipe in the end, and then waits for a runner that waits for a token.
        """
        return ROOM - (self.written - self.read)

    @property
    def room_for(self) -> int:
        """How many calls like its last can be sent without waiting for it to read."""
        return max(0, self.room - _COMMON) // (_BESIDE + 2 * self.each)

    # Over a reload

    def state(self) -> dict[str, Any]:
        """Return, as JSON can hold it, what the program after a reload must know.

        It has one call, since the others were taken back.
        """
        return {
            **{name: getattr(self, name) for name in _KEPT},
            "stdout": self.stdout.state(),
            "stderr": self.stderr.state(),
            "sent": self.sent[0].number,
            "answered": list(self.answered),
            "buffer": self.buffer.decode("latin-1"),
            "records_buffer": self.records_buffer.decode("latin-1"),
            "pieces": self.pieces.begun,
        }

    @classmethod
    def resumed(cls, state: Mapping[str, Any], task: Task) -> Runner:
        """Return the runner of the program before; it holds old code, so this task is its last."""
        kept = {name: state[name] for name in _KEPT}
        mark = state["mark"].encode()
        return cls(
            **{**kept, "key": tuple(state["key"])},
            stdout=Outlet.resumed(state["stdout"], mark),
            stderr=Outlet.resumed(state["stderr"], mark),
            sent=deque([Sent(state["sent"], task, 0)]),
            answered=deque(Answer(*values) for values in state["answered"]),
            buffer=bytearray(state["buffer"].encode("latin-1")),
            records_buffer=state["records_buffer"].encode("latin-1"),
            pieces=Pieces(state.get("pieces")),
            is_retired=True,
        )

    # Its pipes

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


def _read(descriptor: int, size: int) -> bytes | None:
    """Read what is there; None where nothing is, b"" at the end."""
    try:
        return os.read(descriptor, size)
    except BlockingIOError:
        return None


def write(descriptor: int, data: bytes) -> None:
    """Write all of it."""
    while data:
        data = data[os.write(descriptor, data) :]
