"""Own what a runner says of its calls: answers, and records of logging, progress and imports.

A task runs in its runner, and can write to whatever descriptor that has: by mistake, or because a
user wants to see what a worker of root's makes of it. So nothing is believed that has not the form
of an answer, and none can be of another task than those the runner was sent. A runner that says
anything else is killed, and the task it had is an error.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from aque import states
from aque.report import End
from aque.task import Task

#: What a task ends with whose runner does not speak as one.
GARBLED = "its process wrote to the descriptors that aque-runner answers by"
#: Bytes of a line; more is no answer, and would fill the memory of the worker.
MOST = 1 << 30

_NUMBER = (int, float)
_TEXT = (str, type(None))
_INTEGER = (int, type(None))
_ANSWER = (
    int, int, int, int, int, _INTEGER, bool, str, _TEXT, _TEXT, _TEXT, _INTEGER
)  # fmt: skip
_PLAIN = (
    int, int, int, int, int, int, bool, str, str, type(None), type(None), type(None)
)  # fmt: skip
_RECORDS = {
    "progress": ((*_NUMBER, type(None)), (*_NUMBER, type(None)), _TEXT),
    "log": (_NUMBER, str, str, str),
    "imported": (list,),
    "piece": (str, bool, str),
}


class Answer(NamedTuple):
    """What a runner says of a call: instants and cpu in microseconds, bytes.

    Whole numbers, since to print and to read a float takes half a microsecond each.
    """

    number: int
    started_at: int
    ended_at: int
    user_time: int
    system_time: int
    max_rss: int | None
    is_clean: bool
    status: str
    result: str | None
    exception: str | None = None
    error: str | None = None
    exit_status: int | None = None

    @property
    def taken(self) -> float:
        """The seconds that the call took."""
        return (self.ended_at - self.started_at) / 1e6

    def end(self, task: Task) -> End:
        """Return the end of the task that it tells of."""
        return End(
            task.id, task.attempt, self.status, self.ended_at / 1e6,
            None, self.exit_status, None, self.result, self.exception, self.error,
            self.user_time / 1e6, self.system_time / 1e6, self.max_rss, self.started_at / 1e6,
        )  # fmt: skip


def parse(lines: Sequence[bytes | bytearray]) -> list[Answer]:
    """Return the answers that lines are. Raises ValueError where one is none."""
    try:
        found = [Answer(*values) for values in json.loads(b"[%s]" % b",".join(lines))]
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    for answer in found:
        if not (_is_plain(answer) or _fits(answer, _ANSWER)):
            raise ValueError("it has not the form of an answer")
        if answer.status not in states.COMPLETE_STATES:
            raise ValueError("it has not the status of an end")
    return found


def _is_plain(answer: Answer) -> bool:
    """Tell, in a tenth of the time, of most answers that they have the form of one."""
    if tuple(map(type, answer)) != _PLAIN:
        return False
    _, started_at, ended_at, user_time, system_time, max_rss, *_ = answer
    seconds = started_at + ended_at + user_time + system_time
    return 0 <= seconds < 1 << 62 and 0 <= (max_rss or 0) < 1 << 62


def parse_record(line: bytes) -> list[Any]:
    """Return the record that a line is: kind, id, attempt, and what it says. Raises ValueError."""
    try:
        kind, id, attempt, *values = json.loads(line)
        if _fits((id, attempt), (int, int)) and _fits(values, _RECORDS[kind]):
            return [kind, id, attempt, *values]
    except (KeyError, TypeError, RecursionError):
        pass
    raise ValueError("it has not the form of a record")


def _fits(values: Any, types: tuple[Any, ...]) -> bool:
    return len(values) == len(types) and all(
        isinstance(value, kind) and _is_storable(value) for value, kind in zip(values, types)
    )


def _is_storable(value: object) -> bool:
    """Whether a number is one that a queue can hold."""
    return not isinstance(value, (int, float)) or -(1 << 62) < value < 1 << 62
