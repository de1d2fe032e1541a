"""Own a run of aque-xargs: input becomes tasks, an embedded worker runs them, statuses add up.

The tasks are children of one group that is in `creating` while input comes, and are reserved for
this worker. At most 1,000 wait in the queue, so memory is constant for endless input; they are put
in a few at a time, so the first starts at once. The statuses are those of GNU xargs: 123 for a
command that failed, 124 for one that ended with 255, 125 for one that a signal ended, 126 and 127
for one that could not be run; all but the first end the run when what is running has ended.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
from collections import deque
from collections.abc import Sequence

from aque import codec, prototypes, states, trust
from aque import task as tasks
from aque.commands.xargs import say
from aque.commands.xargs.batches import Argv, Batches
from aque.commands.xargs.place import Place, open_place
from aque.commands.xargs.quoting import quote
from aque.commands.xargs.settings import Options
from aque.errors import UsageError
from aque.task import End, Prototype, Requirements, Task
from aque.worker import host, membership
from aque.worker.loop import Worker
from aque.worker.membership import Share
from aque.worker.signals import Signals
from aque.worker.starter import Foreground

#: Tasks that wait in the queue at most, and how many are put in at a time.
READ_AHEAD = 1000
_STEP = 100
_CHUNK = 65536
_UNLIMITED = 1 << 30

FAILED, ABORTED, SIGNALLED, NOT_EXECUTABLE, NOT_FOUND = 123, 124, 125, 126, 127
_STOP = 255

#: Seconds from an interrupt to KILL.
_GRACE = 5.0
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def run(options: Options) -> int:
    """Run the commands; return the exit status, or minus the signal that ended the run."""
    _refuse_unsupported(options)
    signals = Signals()
    ignored = signals.install(keep_ignored=True)
    source = Source(options)
    with open_place(options.broker) as place:
        worker = _worker(place, options, signals, ignored)
        try:
            plan = Plan(worker, source, options)
            worker.run(plan)
            return plan.finish()
        finally:
            worker.close()


def _refuse_unsupported(options: Options) -> None:
    if options.interactive:
        raise UsageError("-p, --interactive is not there yet; use xargs for it")


def _worker(place: Place, options: Options, signals: Signals, ignored: frozenset[int]) -> Worker:
    here = host.this_host()
    share = Share(here.cpus, here.memory, options.max_procs or _UNLIMITED)
    member = membership.join(place.broker, here, membership.XARGS, None, share)
    stdin_kept = options.arg_file is not None
    foreground = Foreground(stdin_kept, ignored, options.slot_var, place.is_private)
    return Worker(place.broker, member, signals, foreground=foreground)


class Source:
    """The input: standard input or -a FILE, read as it comes and made into argument vectors."""

    def __init__(self, options: Options) -> None:
        self.batches = Batches(options, os.environb)
        self.is_over = False
        self.descriptor = 0
        if options.arg_file is not None:
            try:
                self.descriptor = os.open(options.arg_file, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                text = f"Cannot open input file ‘{options.arg_file}’: {error.strerror}"
                raise UsageError(text) from None

    def read(self) -> list[Argv]:
        """Read once, waiting if there is nothing yet; `is_over` tells whether that was the end."""
        found: list[Argv] = []
        chunk = b"" if self.batches.ended else self._read()
        if chunk:
            found = self.batches.feed(chunk)
        if not chunk or self.batches.ended:
            self.is_over = True
            found += self.batches.finish()
        for warning in self.batches.warnings:
            say(warning)
        self.batches.warnings.clear()
        return found

    def _read(self) -> bytes:
        try:
            return os.read(self.descriptor, _CHUNK)
        except OSError:
            return b""  # a closed or unreadable input has no items


class Plan:
    """What the embedded worker is for: the commands of one run, and no other task."""

    def __init__(self, worker: Worker, source: Source, options: Options) -> None:
        self._worker = worker
        self._broker = worker.broker
        self._source = source
        self._options = options
        self._argvs: deque[Argv] = deque()
        self._waiting: set[int] = set()
        self._is_watching = False
        self._is_readable = False
        self._is_stopped = False
        self._is_error_said = False
        self._status = 0
        self._ended_by: int | None = None
        self._need = Requirements(
            user=trust.user_name(), cpus=options.cpus or 0.0, worker=worker.membership.id
        )
        self._group = self._create_group()

    # What the loop asks

    def heed(self, number: int) -> bool:
        if number in _ENDING:
            is_second = self._ended_by is not None
            self._ended_by = self._ended_by or number
            self._stop()
            self._worker.crew.cancel(signal.SIGKILL if is_second else number, _GRACE)
            return True
        is_slots = number in (signal.SIGUSR1, signal.SIGUSR2)
        return is_slots and self._options.max_procs == 0

    def advance(self) -> None:
        """Read what has come and put it into the queue, as far as there is room."""
        if self._is_stopped:
            self._unwatch()
            return
        while not self._source.is_over and len(self._argvs) < _STEP:
            if not self._can_read():
                break
            self._argvs.extend(self._source.read())
            self._is_readable = False
        if self._source.is_over:
            self._unwatch()
            self._heed_input_error()
        if self._argvs and len(self._waiting) < min(READ_AHEAD, _STEP):
            self._create([self._argvs.popleft() for _ in range(min(_STEP, len(self._argvs)))])

    def check(self) -> None:
        """End the run when somebody has killed its group."""
        if not self._is_stopped and self._broker.fetch([self._group])[0].cancel_at is not None:
            self._raise_status(SIGNALLED)
            self._stop()

    def may_claim(self) -> bool:
        return bool(self._waiting) and not self._is_stopped

    def note_start(self, task: Task) -> None:
        self._waiting.discard(task.id)
        if self._options.verbose:
            words = tasks.shell_words(task) or []
            print(quote(words), file=sys.stderr, flush=True)

    def note_end(self, task: Task, end: End) -> None:
        name = (tasks.shell_words(task) or ["?"])[0]
        if end.status == states.CANCELLED:
            self._raise_status(FAILED)
        elif end.exit_signal is not None:
            say(f"{name}: terminated by signal {end.exit_signal}")
            self._abort(SIGNALLED)
        elif end.exit_status == _STOP:
            say(f"{name}: exited with status 255; aborting")
            self._abort(ABORTED)
        elif end.user_time is None:  # it never was a process
            say(end.error or "cannot run")
            self._abort(end.exit_status or NOT_EXECUTABLE)
        elif end.exit_status:
            self._raise_status(FAILED)

    def is_over(self) -> bool:
        if self._is_stopped:
            return True
        return self._source.is_over and not self._argvs and not self._waiting

    def finish(self) -> int:
        """Close the group; return the exit status."""
        if self._ended_by is not None or self._is_stopped:
            self._cancel_waiting()
        self._broker.commit([self._group])
        if self._ended_by is None:
            error = self._source.batches.error
            return self._status or (error.exit_status if error else 0)
        self._say_what_is_left()
        return -self._ended_by

    # What that rests on

    def _create_group(self) -> int:
        options, here = self._options, prototypes.surroundings()
        group = Prototype(
            name=options.name or f"xargs {quote(options.command)}",
            status=states.CREATING,
            priority=options.priority,
            requirements=Requirements(user=trust.user_name(), cpus=0.0),
            owner=self._worker.membership.id,
            **here,
        )
        (id,) = self._broker.create([group])
        environment = self._broker.fetch([id])[0].environment
        self._worker.crew.starter.know_environ(environment, here["environ"])
        return id

    def _create(self, argvs: Sequence[Argv]) -> None:
        stdin = "/dev/tty" if self._options.open_tty else None
        children = [
            Prototype(
                pattern="shell",
                args=codec.encode([os.fsdecode(word) for word in argv], "args"),
                parent=self._group,
                requirements=self._need,
                stdin=stdin,
            )
            for argv in argvs
        ]
        self._waiting.update(self._broker.create(children))
        self._worker.look_again()

    def _can_read(self) -> bool:
        """Whether input can be read now; if not, have the loop tell us."""
        if self._is_readable:
            return True
        if not self._is_watching:
            descriptor = self._source.descriptor
            try:
                self._worker.selector.register(descriptor, selectors.EVENT_READ, self._hear_input)
            except (OSError, ValueError):  # a file, which never makes anybody wait
                return True
            self._is_watching = True
        return False

    def _hear_input(self) -> None:
        self._is_readable = True
        self._unwatch()  # or it would be told again and again while there is no room

    def _unwatch(self) -> None:
        if self._is_watching:
            self._worker.selector.unregister(self._source.descriptor)
            self._is_watching = False

    def _heed_input_error(self) -> None:
        error = self._source.batches.error
        if error is not None and not self._is_error_said and not self._argvs and not self._waiting:
            say(str(error))
            self._is_error_said = True

    def _raise_status(self, status: int) -> None:
        if status == FAILED:
            self._status = self._status or FAILED
        elif self._status in (0, FAILED):
            self._status = status

    def _abort(self, status: int) -> None:
        self._raise_status(status)
        self._stop()

    def _stop(self) -> None:
        self._is_stopped = True
        self._argvs.clear()

    def _cancel_waiting(self) -> None:
        left = sorted(self._waiting) if self._ended_by is None else [self._group]
        self._broker.cancel(left, signal.SIGTERM, 0)

    def _say_what_is_left(self) -> None:
        counts = self._broker.count_children([self._group]).get(self._group, {})
        say(
            f"interrupted; {counts.get(states.SUCCESS, 0)} commands succeeded,"
            f" {counts.get(states.CANCELLED, 0)} were cancelled (task {self._group})"
        )
