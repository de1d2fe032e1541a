"""Own what the embedded worker does in a run: the commands of its input, and no other task.

The tasks are children of one group that is in `creating` while input comes, and are reserved for
this worker. A hundred are put in at a time, and no more before those have begun, so memory is
constant for endless input. What has begun is awaited, whatever ends the run.

Where the queue cannot be written for a while (a full disk, a lock held for long) the run waits,
says so once, and goes on: nothing is run that is not recorded.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from aque import codec, states, trust
from aque import task as tasks
from aque.commands.xargs import quoting, say, write
from aque.commands.xargs.batches import Argv
from aque.commands.xargs.items import InputError
from aque.commands.xargs.place import UNLIMITED
from aque.commands.xargs.settings import Options
from aque.commands.xargs.source import Entry, Source
from aque.commands.xargs.tally import ABORTED, NOT_EXECUTABLE, SIGNALLED, Tally
from aque.errors import BrokerError, TaskNotFoundError
from aque.task import End, Prototype, Requirements, Task
from aque.worker.loop import Worker

#: Tasks put into the queue at a time; as many may wait there, twice as many for a moment.
_STEP = 100
_RETRY_DELAY = 1.0
#: The exit status by which a command ends the run.
_STOP = 255
#: Seconds from an interrupt to KILL.
_GRACE = 5.0
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_FROM_KEYBOARD = (signal.SIGINT, signal.SIGQUIT)


class Plan:
    """What the embedded worker is for: the commands of one run, and no other task."""

    def __init__(self, worker: Worker, source: Source, options: Options, group: int) -> None:
        self._worker = worker
        self._broker = worker.broker
        self._source = source
        self._options = options
        self._group = group
        self._need = Requirements(
            user=trust.user_name(), cpus=options.cpus or 0.0, worker=worker.membership.id
        )
        self._entries: deque[Entry] = deque()
        self._waiting: set[int] = set()  # in the queue, and not begun
        self._has_retried = False
        self._retry_at = 0.0
        self._tally = Tally()
        self._is_stopped = False
        self._ended_by: int | None = None
        self._procs = options.max_procs
        self._has_begun = False
        self._has_tried = False
        self._ascii_only = options.verbose and quoting.is_ascii_only()
        source.attach(worker.selector)
        worker.change_slots(1)  # what cannot be run is tried once, not -P times

    # What the loop asks

    def heed(self, number: int) -> bool:
        if number in _ENDING:
            self._end_by(number)
        elif number in (signal.SIGUSR1, signal.SIGUSR2):
            if self._procs:
                self._procs = max(1, self._procs + (1 if number == signal.SIGUSR1 else -1))
                self._worker.change_slots(self._procs)
        else:
            return False
        return True

    def advance(self) -> None:
        """Read what has come and put it into the queue, as far as there is room.

        Raises BrokerError where an interrupted run would have to wait for the queue.
        """
        source = self._source
        if self._is_stopped:
            source.unwatch()
            self._leave_if_unheard()
            return
        while len(self._entries) < _STEP and self._may_read:
            self._entries.extend(source.read())
        if source.is_over:
            source.unwatch()
        self._tell_notices()
        if self._entries and len(self._waiting) < _STEP and time.monotonic() >= self._retry_at:
            self._put_in()

    def check(self) -> None:
        """Look what others did: killed the group, or a task that waits, or retried one."""
        if self._is_stopped:
            return
        if self._is_killed():
            say(f"killed (task {self._group})")
            self._tally.stop(SIGNALLED, is_last=True)
            self._stop()
            return
        statuses = self._broker.statuses(sorted(self._waiting))
        still = {id for id, status in statuses.items() if status in states.WAITING_STATES}
        if still != self._waiting:
            self._waiting = still
            self._tally.fail()
        self._look_for_retried()

    def may_claim(self) -> bool:
        return bool(self._waiting or self._has_retried) and not self._is_stopped

    def note_start(self, task: Task) -> None:
        self._waiting.discard(task.id)
        if not self._has_begun:
            self._has_begun = True
            self._worker.change_slots(self._procs or UNLIMITED)
        if self._options.verbose:
            words = tasks.shell_words(task) or []
            write(2, quoting.quote(words, self._ascii_only) + "\n")

    def note_end(self, task: Task, end: End) -> None:
        if end.status == states.PENDING:  # there was no room for it
            self._waiting.add(task.id)
        elif end.status == states.CANCELLED:
            self._tally.fail()
        elif end.exit_signal is not None:
            self._abort(SIGNALLED, f"{_name(task)}: terminated by signal {end.exit_signal}")
        elif end.exit_status == _STOP:
            self._abort(ABORTED, f"{_name(task)}: exited with status 255; aborting")
        elif end.user_time is None:  # it never was a process
            self._abort(end.exit_status or NOT_EXECUTABLE, end.error or "cannot run")
        elif end.exit_status:
            self._tally.fail()

    def is_over(self) -> bool:
        if self._is_stopped:
            return True
        if not self._is_all_begun:
            return False
        self._look_for_retried()
        return not self._has_retried

    def finish(self) -> None:
        """Close the group, and cancel what has not begun."""
        if self._is_stopped:
            left = sorted(self._waiting) if self._ended_by is None else [self._group]
            self._broker.cancel(left, signal.SIGTERM, 0)
        self._broker.commit([self._group])

    def tell(self) -> int:
        """Say what is left to say; return the exit status, or minus the signal that ended us."""
        if self._ended_by is not None:
            self._say_what_is_left()
            return -self._ended_by
        failure = self._source.failure
        status = self._tally.status(is_input_broken=failure is not None)
        if status == 1 and failure is not None:
            say(failure)
        return status

    # What that rests on

    @property
    def _is_all_begun(self) -> bool:
        return self._source.is_over and not self._entries and not self._waiting

    @property
    def _may_read(self) -> bool:
        return not self._source.is_over and self._source.is_ready()

    def _tell_notices(self) -> None:
        """Tell what comes next, if that is no command and all before it has begun."""
        while self._entries and not self._waiting:
            entry = self._entries[0]
            if isinstance(entry, list):
                return
            say(str(self._entries.popleft()))
            if isinstance(entry, InputError):
                self._tally.stop(entry.exit_status, is_last=False)

    def _put_in(self) -> None:
        argvs: list[Argv] = []
        for entry in self._entries:
            if not isinstance(entry, list) or len(argvs) == _STEP:
                break
            argvs.append(entry)
        if not argvs:
            return
        try:
            self._waiting.update(self._broker.create(self._children(argvs)))
        except BrokerError as error:
            logging.getLogger("aque.worker").error("%s; trying again", error)
            self._retry_at = time.monotonic() + _RETRY_DELAY
            return
        for _ in argvs:
            self._entries.popleft()
        self._worker.look_again()

    def _children(self, argvs: Sequence[Argv]) -> list[Prototype]:
        stdin = "/dev/tty" if self._options.open_tty else None
        return [
            Prototype(
                pattern="shell",
                args=codec.encode([os.fsdecode(word) for word in argv], "args"),
                parent=self._group,
                requirements=self._need,
                stdin=stdin,
            )
            for argv in argvs
        ]

    def _is_killed(self) -> bool:
        try:
            return self._broker.fetch([self._group])[0].cancel_at is not None
        except TaskNotFoundError:  # somebody removed it
            return True

    def _look_for_retried(self) -> None:
        """Look whether one that had ended waits again, reserved for us."""
        pending = self._broker.children(self._group, 1, (states.PENDING,))
        self._has_retried = bool(pending) and not self._waiting
        if self._has_retried:
            self._worker.look_again()

    def _abort(self, status: int, message: str) -> None:
        """End the run for a command; as GNU does, once what comes next has been read."""
        while self._may_read and not self._entries:
            self._entries.extend(self._source.read())
        self._tell_notices()
        if not self._tally.is_settled:
            say(message)
        self._tally.stop(status, is_last=self._is_all_begun)
        self._stop()

    def _stop(self) -> None:
        self._is_stopped = True
        self._entries.clear()

    def _end_by(self, number: int) -> None:
        """End the run and what is running, which gets the signal too."""
        is_second = self._ended_by is not None
        self._ended_by = self._ended_by or number
        self._stop()
        if is_second:
            number = signal.SIGKILL
        elif number in _FROM_KEYBOARD and _is_in_front():
            number = 0  # the terminal has told them
        self._worker.crew.cancel(number, _GRACE)

    def _leave_if_unheard(self) -> None:
        """Leave when all has ended, and the queue did not take it at the first try."""
        crew = self._worker.crew
        if self._ended_by is None or crew.jobs or not crew.ends:
            return
        if self._has_tried:
            raise BrokerError("the queue cannot be told how the last commands ended")
        self._has_tried = True

    def _say_what_is_left(self) -> None:
        with suppress(BrokerError):
            counts = self._broker.count_children([self._group]).get(self._group, {})
            say(
                f"interrupted; {counts.get(states.SUCCESS, 0)} commands succeeded,"
                f" {counts.get(states.CANCELLED, 0)} were cancelled (task {self._group})"
            )


def _name(task: Task) -> str:
    return (tasks.shell_words(task) or ["?"])[0]


def _is_in_front() -> bool:
    """Whether the terminal sends its signals to us and our children."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)
