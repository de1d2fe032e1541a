"""Own what the embedded worker does in a run: the commands of its input, and no other task.

What has begun is awaited, whatever ends the run. Where the queue cannot be written for a while (a
full disk, a lock held for long) the run waits, says so once, and goes on.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence

from aque import states
from aque import task as tasks
from aque.commands.xargs import parting, quoting, say, write
from aque.commands.xargs.asking import Asker
from aque.commands.xargs.audience import Audience
from aque.commands.xargs.backlog import Backlog
from aque.commands.xargs.halting import Halting
from aque.commands.xargs.items import InputError
from aque.commands.xargs.place import UNLIMITED, is_killed
from aque.commands.xargs.settings import Options
from aque.commands.xargs.source import Source
from aque.commands.xargs.tally import ABORTED, NOT_EXECUTABLE, SIGNALLED, Tally
from aque.errors import AqueError, BrokerError
from aque.report import End
from aque.task import Task
from aque.worker import terminal
from aque.worker.loop import Worker

#: The exit status by which a command ends the run.
_STOP = 255
#: Seconds from an interrupt to KILL.
_GRACE = 5.0
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_FROM_KEYBOARD = (signal.SIGINT, signal.SIGQUIT)


class Plan:
    """What the embedded worker is for: the commands of one run, and no other task."""

    def __init__(
        self,
        worker: Worker,
        source: Source,
        options: Options,
        backlog: Backlog,
        audience: Audience,
        group: int,
    ) -> None:
        self._worker = worker
        self._broker = worker.broker
        self._source = source
        self._options = options
        self._group = group
        self._backlog = backlog
        self._audience = audience
        self._asker = Asker(worker.selector) if options.interactive else None
        self._halt = Halting(options.halt) if options.halt else None
        self._has_retried = False
        self._tally = Tally()
        self._is_stopped = self._is_all_recorded = False
        self._ended_by: int | None = None
        self._cut_off = ""  # how the run was, in a word
        self._procs = options.max_procs
        self._has_begun, self._notes_starts = False, True
        #: Whether commands wait for cpus, memory or a limit, and are started by what a claim says.
        self._claims = options.needs_room
        self._interrupted = 0
        #: Whether somebody looks: then each end is told at once.
        self.hears_each = not audience.is_silent or self._halt is not None
        self.may_take_ahead = False  # before the first has begun
        self._ascii_only = options.verbose and quoting.is_ascii_only()
        source.attach(worker.selector)
        audience.attach(backlog, worker.signals)
        worker.change_slots(1)  # what cannot be run is tried once, not -P times

    # What the loop asks

    def heed(self, number: int) -> bool:
        if number in _ENDING:
            self._end_by(number)
        elif number in (signal.SIGUSR1, signal.SIGUSR2):
            if self._procs:
                self._procs = max(1, self._procs + (1 if number == signal.SIGUSR1 else -1))
                self._worker.change_slots(self._procs)
        elif number == signal.SIGWINCH:
            self._worker.dues.check_by(self._audience.resize())
        else:
            if number == signal.SIGTSTP:
                self._audience.rest()
            return False
        return True

    def advance(self) -> None:
        """Read what has come and put it into the queue, as far as there is room.

        Raises BrokerError where an interrupted run would have to wait for the queue.
        """
        if self._is_stopped:
            self._backlog.drop()
            self._leave_if_unheard()
            return
        if self._backlog.is_stocked and not (self.hears_each and self._audience.is_gone):
            return
        if self._backlog.advance():
            self._worker.dues.look_again()
        if self._backlog.is_refused:
            self.check()
        self._tell_notices()
        if self._audience.is_gone:
            self._tally.stop(SIGNALLED, is_last=True)
            self._end_now(signal.SIGPIPE)

    def check(self) -> None:
        """Look what others did: killed the group, or a task that waits, or retried one."""
        if self._is_stopped:
            return
        if self._backlog.is_refused or is_killed(self._broker, self._group):
            self._cut_off = "killed"
            self._tally.stop(SIGNALLED, is_last=True)
            self._stop()
            return
        if self._backlog.lose():
            self._tally.fail()
        self._look_for_retried()
        self._worker.dues.check_by(self._audience.look())

    def take(self) -> Task | None:
        if self._is_stopped or self._claims or (self.hears_each and not self._audience.has_room):
            return None
        task = self._backlog.take() if self._asker is None else self._take_wanted(self._asker)
        if task is not None and self._notes_starts:
            self.note_start(task)
        return task

    def put_back(self, tasks: Sequence[Task]) -> None:
        self._backlog.put_back(tasks)

    def may_claim(self) -> bool:
        if self._is_stopped or not self._audience.has_room:
            return False
        return self._has_retried or (self._claims and bool(self._backlog.waiting))

    def note_start(self, task: Task) -> None:
        self._backlog.waiting.pop(task.id, None)
        if not self._has_begun:
            self._has_begun = True
            self._notes_starts = self._options.verbose or not self._audience.is_silent
            self.may_take_ahead = not (self._notes_starts or self.hears_each or self._claims)
            self._worker.change_slots(self._procs or UNLIMITED)
        if self._options.verbose and self._asker is None:
            words = tasks.shell_words(task) or []
            write(2, quoting.quote(words, self._ascii_only) + "\n")
        self._audience.started(task)

    def note_end(self, task: Task, end: End) -> None:
        if not end.is_final:  # it is to be tried again, or there was no room for it
            self._has_retried = True
            self._audience.again(task)
            return
        if end.status == states.SUCCESS and self._halt is None:
            self._audience.ended(task, end, end.status)
            return
        has_failed, signals = end.status == states.ERROR, self._worker.signals
        is_interrupted = has_failed and signals.has_come(*_FROM_KEYBOARD)
        is_cut_off = is_interrupted or (has_failed and self._ended_by is not None)
        self._audience.ended(task, end, states.CANCELLED if is_cut_off else end.status)
        if is_interrupted:  # the terminal told it and us, and we are yet to heed that
            self._interrupted += 1
        elif end.status == states.CANCELLED or (end.error and not end.error.startswith("ended ")):
            self._count_failed(end)
        elif end.exit_signal is not None:
            self._read_on()
            self._abort(
                SIGNALLED, f"{quoting.name_of(task)}: terminated by signal {end.exit_signal}"
            )
        elif end.exit_status == _STOP:
            self._read_on()
            self._abort(ABORTED, f"{quoting.name_of(task)}: exited with status 255; aborting")
        elif end.exit_status:
            self._tally.fail()
        if self._halt is not None and self._halt.is_due(end.status) and not self._is_stopped:
            self._stop_by(self._halt)

    def is_over(self) -> bool:
        if self._is_stopped:
            return True
        if not self._backlog.is_empty:
            return False
        self._look_for_retried()
        return self._backlog.is_empty and not self._has_retried

    def finish(self) -> None:
        """Close the group, and cancel what has not begun."""
        if self._is_stopped:
            left = sorted(self._backlog.waiting) if self._ended_by is None else [self._group]
            self._broker.cancel(left, signal.SIGTERM, 0)
        else:
            self._backlog.note_total()
        self._broker.commit([self._group])

    def tell(self, is_broken_off: bool = False) -> int:
        """Say what is left to say; return the exit status, or minus the signal that ended us.

        A run `is_broken_off` where the queue failed it; then some may not have begun.
        """
        if self._cut_off:
            known = self._interrupted, self._is_all_recorded
            parting.tell(self._broker, self._group, self._cut_off, *known)
        if self._ended_by is not None:
            return -self._ended_by
        failure = self._source.failure
        status = self._tally.status(is_input_broken=failure is not None)
        if status == 1 and failure is not None:
            say(failure)
        is_cut_off = self._backlog.is_cut_off or (is_broken_off and not self._backlog.is_empty)
        return status or int(is_cut_off)

    # What that rests on

    def _take_wanted(self, asker: Asker) -> Task | None:
        """Take the next task that a person wants, once the answer has come."""
        try:
            return asker.take(self._backlog, self._worker)
        except AqueError as error:
            say(str(error))
            self._tally.stop(error.exit_status, is_last=True)
            self._stop()
            return None

    def _count_failed(self, end: End) -> None:
        """Count what was killed or timed out, which ends no run; what never ran does, at once."""
        if end.status == states.ERROR and end.user_time is None:
            self._abort(end.exit_status or NOT_EXECUTABLE, end.error or "cannot run")
        else:
            self._tally.fail()

    def _stop_by(self, halt: Halting) -> None:
        say(str(halt))
        self._stop()
        if halt.now:
            self._end_now(signal.SIGTERM)

    def _tell_notices(self) -> None:
        while not self._worker.crew.flood and (notice := self._backlog.take_notice()) is not None:
            say(str(notice))
            if isinstance(notice, InputError):
                self._tally.stop(notice.exit_status, is_last=False)

    def _look_for_retried(self) -> None:
        """Look whether one that had ended waits again, reserved for us; with -p it is asked for."""
        if self._backlog.has_waiting or self._worker.crew.news.has_begins:
            return  # of which the queue knows no better than that they wait
        retried = self._broker.children(self._group, 1, (states.PENDING,))
        if self._asker is not None:
            self._backlog.take_again(task for task in retried if task.due_at is None)
        if retried:
            self._worker.dues.look_again()
        self._has_retried = bool(retried) and not self._backlog.waiting

    def _read_on(self) -> None:
        """Read what comes next, and tell what is wrong with it: GNU hears of an end after that."""
        self._backlog.look_ahead()
        self._tell_notices()

    def _abort(self, status: int, message: str) -> None:
        """End the run for a command."""
        if not self._tally.is_settled:
            say(message)
        self._tally.stop(status, is_last=self._backlog.is_empty)
        self._stop()

    def _stop(self) -> None:
        if not self._is_stopped:
            self._is_all_recorded = self._backlog.is_all_recorded
        self._is_stopped = True
        self.may_take_ahead = False
        self._backlog.drop()

    def _end_now(self, number: int) -> None:
        self._stop()
        self._worker.crew.steering.cancel(number, _GRACE)

    def _end_by(self, number: int) -> None:
        """End the run and what is running, which gets the signal too."""
        is_second = self._ended_by is not None
        self._ended_by = self._ended_by or number
        self._cut_off = self._cut_off or "interrupted"
        self._stop()
        if is_second:
            number = signal.SIGKILL
        elif number in _FROM_KEYBOARD and terminal.is_in_front():
            number = 0  # the terminal has told them
        self._worker.crew.steering.cancel(number, _GRACE)

    def _leave_if_unheard(self) -> None:
        """Leave when all has ended, and the queue did not take it at the first try."""
        crew = self._worker.crew
        if self._ended_by and crew.news.ends and not crew.jobs and self._worker.dues.is_troubled:
            raise BrokerError("the queue cannot be told how the last commands ended")
