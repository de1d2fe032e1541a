"""Own what a worker has at work: starts tasks as jobs, hears of their ends, reads their output.

Ends come by waitid(WNOWAIT): it tells who has ended but leaves the zombie, and with it the pid and
the number of its session, so that what is left of the session can be killed while that number is
still surely ours. Only then wait4 reaps, and gives the rusage. Children that are nobody's job
(orphans that the subreaper inherited, idle runners) are reaped as they come.
"""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from aque import codec
from aque.brokers.base import Broker, Request
from aque.errors import AqueError
from aque.patterns import shell
from aque.task import Chunk, End, Start, Task
from aque.worker import files, runners, usage
from aque.worker.job import Job, failed_start
from aque.worker.output import Stream
from aque.worker.runners import Runner, Runners
from aque.worker.spawn import Spawner, exit_status_of

#: Seconds to wait for the rest of the output of a job that has ended.
DRAIN = 2.0


@dataclass(frozen=True, slots=True)
class Foreground:
    """Jobs stay in our session and process group and share our output, as xargs' children do.

    They also share our standard input if it is `stdin_kept`, and ignore the signals that are
    `ignored` (by nohup, say). `slot_variable` is told the slot, from 0. A queue that is `private`
    and short-lived is not theirs to submit to.
    """

    stdin_kept: bool = False
    ignored: frozenset[int] = frozenset()
    slot_variable: str | None = None
    private: bool = False


class Crew:
    """The jobs of one worker. `marks` is what each job's environment is told besides the task's."""

    def __init__(
        self,
        broker: Broker,
        selector: selectors.BaseSelector,
        marks: Mapping[str, str],
        cpus: int,
        foreground: Foreground | None = None,
    ) -> None:
        self._broker = broker
        self._selector = selector
        self._marks = dict(marks)
        self._foreground = foreground
        if foreground is not None and foreground.private:
            del self._marks["AQUE_BROKER"]
        self._spawner = Spawner(foreground.ignored if foreground else frozenset())
        self._runners = Runners(self._spawner, cpus)
        self._settings = broker.settings()
        self._environs: dict[int | None, dict[str, str]] = {}
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._busy: dict[int, Runner] = {}
        self.jobs: dict[int, Job] = {}  # by pid
        self.ends: list[End] = []
        self._ended: dict[int, Task] = {}  # whose ends are yet to be recorded
        self.output: list[Chunk] = []

    # Starting

    def start(self, task: Task) -> None:
        """Start a task; one that cannot be started is among `ends`."""
        try:
            self._start(task)
        except OSError as error:
            name = error.filename if isinstance(error.filename, str) else None
            reason = f"{name}: {error.strerror}" if name else str(error.strerror or error)
            self._fail(task, exit_status_of(error), reason)
        except (AqueError, ValueError) as error:
            self._fail(task, 126, str(error))

    def _start(self, task: Task) -> None:
        slot = self._free_slot()
        environ = self._environ(task)
        own = {
            "AQUE_TID": str(task.id),
            "AQUE_ATTEMPT": str(task.attempt),
            "AQUE_SLOT": str(slot),
            "AQUE_CPUS": f"{task.cpus:g}",
        }
        if self._foreground is not None and self._foreground.slot_variable:
            own[self._foreground.slot_variable] = str(slot - 1)
        if task.pattern == "shell":
            job = self._start_command(task, {**environ, **own}, slot)
        else:
            job = self._start_call(task, environ, own, slot)
        self.jobs[job.pid] = job
        for stream in job.streams:
            self._watch(stream.descriptor, partial(self._read, job))

    def _start_command(self, task: Task, environ: dict[str, str], slot: int) -> Job:
        command = shell.argument_list(_values(task.args, ()), _values(task.kwargs, {}))
        self._spawner.enter(task.cwd, task.umask)
        with files.Descriptors() as opened:
            theirs = self._stdin(task, opened)
            incoming: dict[str, int] = {}
            is_own = self._foreground is None
            if is_own:
                theirs[1], theirs[2], incoming = files.outputs(task, opened)
            pid = self._spawner.spawn(command, environ, theirs, is_own)
            opened.keep(incoming.values())
        streams = [self._stream(task, name, fd) for name, fd in incoming.items()]
        return Job(task, pid, slot, is_own, streams)

    def _stdin(self, task: Task, opened: files.Descriptors) -> dict[int, int]:
        if task.stdin == files.STORED:
            return {0: opened.temporary(self._broker.stdin_value(task.id) or b"")}
        if task.stdin is not None:
            return {0: opened.open(task.stdin, os.O_RDONLY)}
        return {} if self._foreground and self._foreground.stdin_kept else {0: self._null}

    def _start_call(
        self, task: Task, environ: dict[str, str], own: dict[str, str], slot: int
    ) -> Job:
        runner = self._runners.take(task, environ)
        try:
            runner.send(runners.request_for(task, own))
        except BrokenPipeError:  # it died while idle; its end is yet to be noted
            runner.close()
            runner = self._runners.take(task, environ)
            runner.send(runners.request_for(task, own))
        self._busy[runner.pid] = runner
        self._watch(runner.answers, partial(self._hear, runner))
        outputs = {"stdout": runner.stdout, "stderr": runner.stderr}
        streams = [self._stream(task, name, fd) for name, fd in outputs.items()]
        return Job(task, runner.pid, slot, True, streams, is_python=True)

    def _stream(self, task: Task, name: str, descriptor: int) -> Stream:
        open_file = self._broker.open_output
        return Stream(name, task.id, task.attempt, descriptor, self._settings, open_file)

    def _environ(self, task: Task) -> dict[str, str]:
        if task.environment not in self._environs:
            if len(self._environs) >= 100:
                self._environs.clear()
            stored = None if task.environment is None else self._broker.environ(task.environment)
            self.know_environ(task.environment, stored or {})
        return self._environs[task.environment]

    def know_environ(self, environment: int | None, environ: Mapping[str, str]) -> None:
        """Remember what an environment is, with the marks every job gets."""
        self._environs[environment] = {**environ, **self._marks}

    def _free_slot(self) -> int:
        taken = {job.slot for job in self.jobs.values()}
        return next(slot for slot in range(1, len(taken) + 2) if slot not in taken)

    def _fail(self, task: Task, status: int, reason: str) -> None:
        self._end(task, failed_start(task, status, reason, time.time()))

    def _end(self, task: Task, end: End) -> None:
        self.ends.append(end)
        self._ended[task.id] = task

    # Hearing

    @property
    def is_draining(self) -> bool:
        """Whether a job has ended whose output may not all be there."""
        return any(job.wait_status is not None for job in self.jobs.values())

    def note_ended(self) -> None:
        """Note which processes have ended since the last look."""
        for pid in _ended_children():
            job = self.jobs.get(pid)
            if job is not None and job.own_session:
                _kill_group(pid)
            _, wait_status, rusage = os.wait4(pid, 0)
            if job is None:
                self._runners.forget(pid)
                continue
            job.wait_status = wait_status
            job.usage = usage.of_child(rusage)
            job.drain_until = time.monotonic() + DRAIN
            self._read(job)
        for job in list(self.jobs.values()):
            if job.wait_status is not None:
                self._finish_if_drained(job)

    def _hear(self, runner: Runner) -> None:
        answer = runner.read_answer()
        if answer is None:
            if runner.pid in self._busy and _is_at_end(runner.answers):
                self._selector.unregister(runner.answers)  # it is dying: its end will be noted
            return
        job = self.jobs[runner.pid]
        self._read(job)
        self._release(job)
        del self._busy[runner.pid]
        self._selector.unregister(runner.answers)
        runner.is_retired |= not answer["is_clean"] or job.cancel_signal is not None
        self._end(job.task, runners.end_of(job.task, answer, time.time()))
        self._runners.give_back(runner)

    def _read(self, job: Job) -> None:
        now = time.time()
        for stream in job.streams:
            if stream.is_open:
                self.output += stream.read(now)
                if not stream.is_open:
                    self._selector.unregister(stream.descriptor)

    def _finish_if_drained(self, job: Job) -> None:
        assert job.drain_until is not None
        if not job.is_drained and time.monotonic() < job.drain_until:
            return
        self._release(job)
        self._end(job.task, job.end(time.time()))
        runner = self._busy.pop(job.pid, None)
        if runner is not None:
            self._unregister(runner.answers)
            runner.close()
        else:
            for stream in job.streams:
                os.close(stream.descriptor)

    def _release(self, job: Job) -> None:
        del self.jobs[job.pid]
        for stream in job.streams:
            if stream.is_open:
                self._selector.unregister(stream.descriptor)
            stream.close()

    def _watch(self, descriptor: int, hear: Callable[[], None]) -> None:
        """Have the loop call `hear` when there is something to read."""
        self._selector.register(descriptor, selectors.EVENT_READ, hear)

    def _unregister(self, descriptor: int) -> None:
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)

    # Steering

    def handle(self, requests: list[Request]) -> None:
        """Pass on signals and cancels to the jobs they are for."""
        by_task = {job.task.id: job for job in self.jobs.values()}
        now = time.monotonic()
        for request in requests:
            job = by_task.get(request.id)
            if job is not None:
                job.handle(request, now)

    def kill_overdue(self) -> None:
        now = time.monotonic()
        for job in self.jobs.values():
            if job.kill_at is not None and job.kill_at <= now:
                job.kill()

    def cancel(self, number: int, grace: float) -> None:
        """Signal all jobs, and kill them after the grace; they end as cancelled."""
        requests = [
            Request(job.task.id, job.task.attempt, number, grace) for job in self.jobs.values()
        ]
        self.handle(requests)

    def stop(self, grace: float) -> None:
        for job in self.jobs.values():
            job.stop(time.monotonic(), grace)

    def next_deadline(self) -> float | None:
        """Return the monotonic time at which something is to be done for a job."""
        times = [t for job in self.jobs.values() for t in (job.kill_at, job.drain_until) if t]
        return min(times, default=None)

    # Recording

    def starts(self, before: float) -> Sequence[Start]:
        """Return the processes started before then that the queue does not know yet."""
        return [
            job.start_record()
            for job in self.jobs.values()
            if not job.is_start_recorded and job.started <= before
        ]

    def first_unrecorded(self) -> float | None:
        """Return when the first process was started that the queue does not know yet."""
        times = [job.started for job in self.jobs.values() if not job.is_start_recorded]
        return min(times, default=None)

    def note_recorded(self, start: Start) -> None:
        job = self.jobs.get(start.pid)
        if job is not None:
            job.is_start_recorded = True

    def take_ended(self, end: End) -> Task:
        """Return, once, the task of an end that was recorded."""
        return self._ended.pop(end.id)

    # Reload

    def dismiss_idle_runners(self) -> None:
        self._runners.close()

    def runner_of(self, job: Job) -> Runner | None:
        return self._busy.get(job.pid)

    def resume_stream(
        self, task: Task, name: str, descriptor: int, offset: int, is_open: bool
    ) -> Stream:
        """Make a stream that goes on where another program stopped to read."""
        stream = self._stream(task, name, descriptor)
        stream.resume(offset, is_open)
        os.set_inheritable(descriptor, False)
        return stream

    def adopt(self, job: Job, runner: Runner | None) -> None:
        """Take over a job that another program of this process has started."""
        self.jobs[job.pid] = job
        for stream in job.streams:
            if stream.is_open:
                self._watch(stream.descriptor, partial(self._read, job))
        if runner is not None:
            self._busy[runner.pid] = runner
            for descriptor in (runner.requests, runner.answers):
                os.set_inheritable(descriptor, False)
            self._watch(runner.answers, partial(self._hear, runner))

    def close(self) -> None:
        self._runners.close()
        os.close(self._null)


def _values(text: str | None, default: Any) -> Any:
    return default if text is None else codec.decode(text)


def _ended_children() -> Iterator[int]:
    """Yield the children that have ended; each must be reaped before the next is asked for."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None:
            return
        yield ended.si_pid


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _is_at_end(descriptor: int) -> bool:
    try:
        return os.read(descriptor, 1) == b""
    except BlockingIOError:
        return False
