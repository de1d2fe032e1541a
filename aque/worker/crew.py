"""Own what a worker has at work: its jobs, from their start to their end.

How they are steered is steering.py's, how their ends are heard of reaping.py's, their output
intake.py's, and what the queue is yet to be told of them news.py's.
"""

from __future__ import annotations

import logging
import os
import selectors
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from aque import states
from aque.errors import AqueError, BrokerError
from aque.report import End
from aque.schedule import retries
from aque.task import Task
from aque.worker import limits
from aque.worker.aside import Aside
from aque.worker.guarding import Guard
from aque.worker.intake import Intake
from aque.worker.job import Job, failed_start, note_rests
from aque.worker.news import News
from aque.worker.nocalls import NoCalls, NoRunners
from aque.worker.reaping import Reaper, kill_group
from aque.worker.room import Room, is_shortage
from aque.worker.slots import Slots
from aque.worker.spawn import exit_status_of
from aque.worker.starter import Starter
from aque.worker.steering import Steering
from aque.worker.usage import ChildUsage

if TYPE_CHECKING:
    from aque.worker.calls import Calls
    from aque.worker.flood.flood import Flood
    from aque.worker.records import Records
    from aque.worker.runners import Runner

#: Seconds to wait for the rest of the output of a job that has ended.
DRAIN = 2.0
#: Seconds between two looks whether runners have exited.
_EXIT_POLL = 0.002
#: Seconds between two looks at what is left of a session that was told to end.
_REST_POLL = 0.03

log = logging.getLogger("aque.worker")


class Crew:
    """The jobs of one worker. `news` is what of them is yet to be recorded."""

    def __init__(self, starter: Starter, selector: selectors.BaseSelector, guard: Guard) -> None:
        self.starter = starter
        self.guard = guard
        self.jobs: dict[int, Job] = {}  # by pid
        self.timed: dict[int, Job] = {}  # by pid: those to be looked at each turn
        self.slots = Slots()
        self._usage = ChildUsage()
        self.news = News()
        self.output, self.progress = self.news.output, self.news.progress
        self.calls = _calls(self, starter, selector)
        self.steering = Steering(self.jobs, self.timed, self.calls, self.news)
        self.room = Room()
        self.intake = Intake(self.output, selector, self.look_after)
        self.reaper = Reaper(starter, self.jobs, self.intake.read)
        self._hearers: list[Callable[[int, int], object]] = []
        self.aside = Aside(self._usage, self.end)
        #: While there is one. Then what a plan has given may not have begun.
        self.flood: Flood | None = None

    # Starting

    def begin(self, task: Task, worker: int) -> None:
        """Start a task that is reserved for this worker, and is yet to be recorded as running."""
        self.news.begin(task, worker)
        self.start(task)

    def start(self, task: Task) -> None:
        """Start a task; one that cannot be started is among `ends`."""
        if len(self.jobs) >= self.room.most(time.monotonic()):
            self.give_back(task, "no room for another process")
            return
        if self.start_in(task, self.slots.take()):
            self.room.note_started(len(self.jobs))

    def start_in(self, task: Task, slot: int) -> bool:
        """Start a task in a slot that is taken for it; if it cannot be, give that back."""
        try:
            job, runner = self.starter.start(task, slot)
        except (OSError, AqueError, ValueError) as error:
            self.slots.give(slot)
            self._note_failure(task, error)
            return False
        self.adopt(job, runner)
        return True

    def _note_failure(self, task: Task, error: OSError | AqueError | ValueError) -> None:
        """Say how a task ends that could not be started."""
        if isinstance(error, OSError):
            if is_shortage(error):
                self.give_back(task, f"no room for another process: {error.strerror}")
                self._note_shortage(error)
                return
            name = error.filename if isinstance(error.filename, str) else None
            reason = str(error.strerror or error) if name is None else f"{name}: {error.strerror}"
            self._fail(task, exit_status_of(error), reason)
        elif isinstance(error, BrokerError):  # not the task's fault: it is to be claimed again
            self.give_back(task, str(error))
        else:
            self._fail(task, 126, str(error))

    def adopt(self, job: Job, runner: Runner | None) -> None:
        """Take in a job that has been started, now or by the program before a reload."""
        self.take_in(job)
        if runner is not None:
            self._calls.adopt(runner)
        elif job.streams:
            self.intake.watch(job)

    def take_in(self, job: Job) -> None:
        """Count a job among ours."""
        self.jobs[job.pid] = job
        job.token = self.guard.token
        if not job.is_start_recorded:
            self.news.start(job)
        if job.has_limits or job.kill_at is not None:
            self.timed[job.pid] = job

    def look_after(self, job: Job) -> None:
        """Look at a job each turn: it has ended, or its output waits for room."""
        self.timed[job.pid] = job

    def _fail(self, task: Task, status: int, reason: str) -> None:
        self.end(task, failed_start(task, status, reason, time.time()))

    def _note_shortage(self, error: OSError) -> None:
        running = len(self.jobs)
        if self.room.note_shortage(running, time.monotonic()):
            log.warning("no room for more than %d processes (%s); waiting", running, error.strerror)

    def give_back(self, task: Task, reason: str | None = None) -> None:
        """Have a task that could not begin wait again; with a reason as an attempt that says it."""
        end = End(task.id, task.attempt, states.PENDING, time.time(), error=reason)
        self.news.end(task, end)

    def end(self, task: Task, end: End) -> None:
        if end.status == states.ERROR and retries.may_retry(task.retried, task.retries):
            delay = retries.delay(task.retried, task.retry_delay)
            end = end.retried(end.ended_at + delay)
        self.news.end(task, end)

    # Hearing

    @property
    def is_idle(self) -> bool:
        """Whether nothing is at work, and the queue knows all."""
        return not self.jobs and not self.news

    @property
    def is_draining(self) -> bool:
        """Whether a job has ended whose output may not all be there, or output waits for room."""
        timed = self.timed.values()
        return any(job.wait_status is not None or job.is_stalled for job in timed)

    def hear_ends(self, hear: Callable[[int, int], object]) -> None:
        """Have `hear` told the pid and the wait status of each child that ends."""
        self._hearers.append(hear)

    def hear_no_more(self, hear: Callable[[int, int], object]) -> None:
        self._hearers.remove(hear)

    def note_ended(self) -> None:
        """Note which processes have ended since the last look."""
        for ended in self.reaper.reap():
            self.note_end(*ended)
        if self.timed:
            self.intake.retry(self.timed.values(), self.calls.go_on)
            left = [job for job in self.timed.values() if job.wait_status is not None]
            note_rests(left)
            for job in left:
                self._finish_if_drained(job)

    def note_end(self, pid: int, wait_status: int, rusage: Any) -> None:
        """Note that a process has ended."""
        self.guard.drop(pid)
        for hear in self._hearers[:]:
            hear(pid, wait_status)
        job = self.jobs.get(pid)
        if job is None:
            self.guard.note_ended(pid)
        elif job.is_python:
            self._calls.end(pid, wait_status, self._usage.of(rusage))
        elif job.is_bare:
            self.aside.put(job, wait_status, rusage, time.time())
            self.aside.has_failed = self.aside.has_failed or wait_status != 0 or job.is_ending
            self.news.ended_at = time.monotonic()
            self.release(job)
        else:
            job.wait_status = wait_status
            job.usage = self._usage.of(rusage)
            job.drain_until = time.monotonic() + DRAIN
            self.timed[pid] = job
            self.intake.read(job)

    def _finish_if_drained(self, job: Job) -> None:
        assert job.drain_until is not None
        if job.is_ending:  # to record that it was killed matters more
            self.intake.give_up(job)
        if job.rest or job.is_stalled:
            return
        if not job.is_drained and time.monotonic() < job.drain_until:
            return
        if not self.intake.finish(job):
            return
        self._finish(job)
        if job.is_python:
            self._calls.drop(job.pid)
        else:
            for stream in job.streams:
                os.close(stream.descriptor)

    def _finish(self, job: Job) -> None:
        self.release(job)
        self.end(job.task, job.end(time.time()))

    def release(self, job: Job) -> None:
        del self.jobs[job.pid]
        self.timed.pop(job.pid, None)
        self.news.drop(job)
        self.slots.give(job.slot)
        self.intake.leave(job)

    # Steering

    def next_deadline(self) -> float | None:
        """Return the monotonic time at which something is to be done for a job."""
        times = [t for job in self.timed.values() for t in self._deadlines(job)]
        late = self.calls.next_deadline()
        return min(times if late is None else [*times, late], default=None)

    def _deadlines(self, job: Job) -> Iterator[float]:
        if job.kill_at is not None:
            yield job.kill_at
        if job.is_stalled:
            yield self.intake.retry_at
        elif job.rest:
            yield time.monotonic() + _REST_POLL
        elif job.drain_until is not None:
            yield job.drain_until
        elif job.has_limits and not job.is_ending:
            look = limits.next_look(job, time.monotonic())
            if look is not None:
                yield look

    # Leaving

    @property
    def records(self) -> Records:
        """The records that calls send."""
        return self._calls.records

    @property
    def _calls(self) -> Calls:
        """What there is once a call runs."""
        assert not isinstance(self.calls, NoCalls)
        return self.calls

    def runner_of(self, job: Job) -> Runner | None:
        return self.calls.runner_of(job)

    def close(self) -> None:
        self.starter.close()
        self._see_runners_off()
        self.guard.leave()

    def _see_runners_off(self) -> None:
        """Wait until the runners have ended, and kill what tasks have left in their groups."""
        runners = self.starter.runners
        deadline = time.monotonic() + DRAIN
        while (left := runners.pids - self.reaper.kept) and time.monotonic() < deadline:
            self.note_ended()
            time.sleep(_EXIT_POLL)
        for pid in left:
            kill_group(pid)


def _calls(crew: Crew, starter: Starter, selector: selectors.BaseSelector) -> Calls | NoCalls:
    runners = starter.runners
    if isinstance(runners, NoRunners):
        return NoCalls()
    from aque.worker.calls import Calls

    return Calls(crew, runners, selector, starter.stream, starter.common_of)
