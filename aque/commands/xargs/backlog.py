"""Own what has been read and has not begun: entries of the input, and tasks that wait in the queue.

The tasks are children of one group that is in `creating` while input comes, and are reserved for
this worker. A few are put in at a time, and no more before those have begun, so memory is constant
for endless input. Nothing is run that is not in the queue.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import count, islice

from aque import codec, states
from aque import task as tasks
from aque.brokers.base import Broker
from aque.commands.xargs import place
from aque.commands.xargs.batches import Argv
from aque.commands.xargs.items import InputError
from aque.commands.xargs.source import Entry, Source
from aque.errors import BrokerError, StateError, TaskNotFoundError
from aque.prototype import Prototype
from aque.record import record
from aque.task import Task

#: Tasks put into the queue at a time, of which half may wait there before the next are put in: so
#: few that the commands that run do not end meanwhile.
_STEP = 32
_RETRY_DELAY = 1.0
#: As os.fsdecode, which has to look what it was given.
_CODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()


@record(frozen=True)
class Earlier:
    """What there is of an earlier run: its tasks that wait, by their number, and how many it has.

    `beyond` is what was read of the input that it had not. With `is_cut_off` there was more to
    read, and no input now.
    """

    left: Iterator[tuple[int, Task]]
    count: int
    beyond: Sequence[Entry]
    is_cut_off: bool


class Backlog:
    """What is to be begun, in order. `model` is what each command's task is like.

    `earlier` are what an earlier run left, by their number; `entries` what was read already.
    `last_number` is how many commands there have been. `waiting` are the tasks in the queue that
    have not begun, and `numbers` are their places in the input and those of what runs, by id.
    """

    def __init__(
        self, broker: Broker, source: Source, model: Prototype, earlier: Earlier | None = None
    ) -> None:
        self.waiting: dict[int, Task] = {}
        self.numbers: dict[int, int] = {}
        self._broker = broker
        self._source = source
        self._model = model
        self._task: Task | None = None  # what is alike in all of them
        self.last_number = 0
        self.is_cut_off = False
        #: Whether the group takes no more: somebody has just killed or removed it.
        self.is_refused = False
        self._has_tried_total = self._is_total_noted = False
        self._earlier: Iterator[tuple[int, Task]] | None = None
        self._entries: deque[Entry] = deque()
        if earlier is not None:
            self._earlier, self.last_number = earlier.left, earlier.count
            self._entries.extend(earlier.beyond)
            self.is_cut_off = earlier.is_cut_off
        self._retry_at = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether all has begun, and no more can come."""
        return self._source.is_over and not (self._entries or self.waiting or self._earlier)

    @property
    def has_waiting(self) -> bool:
        """Whether any wait in the queue, be it from an earlier run."""
        return bool(self.waiting) or self._earlier is not None

    @property
    def is_all_recorded(self) -> bool:
        """Whether the input has been read to its end, and all of it is in the queue."""
        return self._source.is_over and not (self._entries or self._earlier or self.is_cut_off)

    @property
    def count(self) -> int | None:
        """How many commands are to be begun; None while that cannot be known."""
        if self._earlier or not self._source.is_over:
            return None
        return len(self._entries) + len(self.waiting)

    @property
    def is_stocked(self) -> bool:
        """Whether so many wait in the queue that there is no room for more."""
        return len(self.waiting) > _STEP // 2

    def advance(self) -> bool:
        """Read what has come and put it into the queue, as far as there is room; say if any was."""
        before = len(self.waiting)
        if not self.is_stocked:
            self._fill()
            if self.is_all_recorded and not self._has_tried_total:
                self._has_tried_total = True
                with suppress(BrokerError):  # it is tried again when all has ended
                    self.note_total()
        return len(self.waiting) > before

    def note_total(self) -> None:
        """Have the queue know that the input has ended, if it has: with how many commands."""
        if self.is_all_recorded and not self._is_total_noted:
            assert isinstance(self._model.parent, int)
            place.note_total(self._broker, self._model.parent, self.last_number)
            self._is_total_noted = True

    def _fill(self) -> None:
        if self._earlier is not None:
            self._take_up()
            return
        while len(self._entries) < _STEP and self._read():
            pass
        if self._entries and time.monotonic() >= self._retry_at:
            self._put_in()

    def look_ahead(self) -> None:
        """Read on until it is known what comes next, if it has come."""
        while not self._entries and self._read():
            pass

    def first(self) -> Task | None:
        """Return the next task that waits."""
        return next(iter(self.waiting.values()), None)

    def take(self) -> Task | None:
        """Take the next task that waits."""
        for id in self.waiting:
            return self.waiting.pop(id)
        return None

    def take_again(self, ended: Iterable[Task]) -> None:
        """Have tasks wait that have run, as their next attempts."""
        for task in ended:
            self.waiting[task.id] = tasks.alike(task, attempt=task.attempt + 1)
            self.numbers.setdefault(task.id, self.last_number)

    def put_back(self, tasks: Sequence[Task]) -> None:
        """Have tasks wait before all others."""
        self.waiting = {**{task.id: task for task in tasks}, **self.waiting}

    def take_notice(self) -> str | InputError | None:
        """Take what comes next if that is no command, and all before it has begun."""
        if self._entries and not self.waiting and not isinstance(self._entries[0], list):
            return self._entries.popleft()  # type: ignore[return-value]
        return None

    def lose(self) -> bool:
        """Forget the tasks that somebody else has ended; whether there were any."""
        statuses = self._broker.statuses(sorted(self.waiting))
        lost = [i for i in self.waiting if statuses.get(i) not in states.WAITING_STATES]
        for id in lost:
            del self.waiting[id]
        return bool(lost)

    def drop(self) -> None:
        """Forget what has not been put in, and read no more."""
        self._entries.clear()
        self._earlier = None
        self._source.unwatch()

    def _read(self) -> bool:
        source = self._source
        if source.is_over or not source.is_ready():
            return False
        self._entries.extend(source.read())
        if source.is_over:
            source.unwatch()
        return True

    def _take_up(self) -> None:
        """Have what an earlier run left wait, as the next attempts."""
        assert self._earlier is not None
        found = list(islice(self._earlier, _STEP))
        self.numbers.update((task.id, number) for number, task in found)
        self.take_again(task for _, task in found)
        if not found:
            self._earlier = None

    def _put_in(self) -> None:
        argvs: list[Argv] = []
        for entry in self._entries:
            if not isinstance(entry, list) or len(argvs) == _STEP:
                break
            argvs.append(entry)
        if not argvs:
            return
        texts = [codec.encode([w.decode(_CODING, _ERRORS) for w in a], "args") for a in argvs]
        try:
            ids = self._broker.create_like(self._model, texts)
            self.waiting.update(zip(ids, self._tasks(ids, texts)))
            self.numbers.update(zip(ids, count(self.last_number + 1)))
            self.last_number += len(ids)
        except (StateError, TaskNotFoundError):
            self.is_refused = True
            return
        except BrokerError as error:
            logging.getLogger("aque.worker").error("%s; trying again", error)
            self._retry_at = time.monotonic() + _RETRY_DELAY
            return
        for _ in argvs:
            self._entries.popleft()

    def _tasks(self, ids: Sequence[int], texts: Sequence[str]) -> list[Task]:
        if self._task is None:
            (self._task,) = self._broker.fetch(ids[:1])
        return [tasks.alike(self._task, id=i, args=t, attempt=1) for i, t in zip(ids, texts)]
