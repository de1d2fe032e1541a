"""Own the Python calls at work: which runner has which, and those that wait there for their turn.

A call that does nothing takes 15 us; to tell a runner of it, to be told of its end and to record
both takes ten times as long. So where the calls of a function have been short, more of them are
claimed and sent than there are slots: each waits behind a running call of the same kind, whose
cpus, memory and tokens it takes over, so that nothing is held twice. Never for more than 10 ms of
work: a slow worker must not sit on what an idle one could run. When a call takes longer than was
foreseen, those behind it are taken back after 20 ms, and are pending again as if nothing had been.

Before a call is signalled those behind it are taken back too, or the signal might reach the next.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from aque.task import Task
from aque.worker import answers, kinds
from aque.worker.ahead import Ahead
from aque.worker.answers import Answer
from aque.worker.job import Job
from aque.worker.output import Stream
from aque.worker.pace import LATE, Pace
from aque.worker.pool import Runners
from aque.worker.records import MakeStream, Records
from aque.worker.runners import Runner
from aque.worker.usage import Usage
from aque.worker.wires import Wires

if TYPE_CHECKING:
    from aque.worker.crew import Crew


class Calls:
    """The runners of a crew that are busy. `make_stream` makes what keeps a stream of a task."""

    def __init__(
        self,
        crew: Crew,
        idle: Runners,
        selector: selectors.BaseSelector,
        make_stream: MakeStream,
        common_of: Callable[[Task, int], Mapping[str, Any]],
    ) -> None:
        self._crew = crew
        self._idle = idle
        self._wires = Wires(selector)
        self._make_stream = make_stream
        self._common_of = common_of
        self._busy: dict[int, Runner] = {}  # by pid
        self._pace = Pace()
        self.ahead = Ahead(crew, self._busy, idle, self._pace)
        self.records = Records(crew, make_stream)

    # Beginning

    def adopt(self, runner: Runner) -> None:
        """Take in a runner that has been sent its call."""
        self._busy[runner.pid] = runner
        self._wires.watch(runner, partial(self.hear, runner))

    def queue(self, tasks: list[Task], asked_at: float) -> None:
        """Send tasks that were claimed to wait behind running ones; give back what cannot.

        `asked_at` is when there was room for them, monotonic; what has been answered since, in a
        transaction that took long, is not heard of yet.
        """
        for batch in kinds.batches(tasks):
            first = batch[0]
            key = kinds.key_of(first)
            able = [r for r in self._busy.values() if r.key == key and self.ahead.want(r, asked_at)]
            able.sort(key=lambda runner: len(runner.sent))
            share = (len(batch) + sum(len(r.sent) for r in able)) // max(1, len(able)) + 1
            if not self._pace.is_short(first):
                able = []
            for runner in able:
                common = self._common_of(first, self._crew.jobs[runner.pid].slot)
                batch = runner.send_some(common, batch, share - len(runner.sent))
            for task in batch:
                self._crew.give_back(task)
                self.ahead.punish(time.monotonic())

    # Hearing

    def hear(self, runner: Runner) -> None:
        """Take in what a runner has answered, said and written."""
        if runner.pid not in self._busy:  # let go since this was called for
            return
        job = self._crew.jobs.get(runner.pid)
        if job is not None and job.is_stalled:
            return
        runner.read_answers()  # before the output, which then has the marks of all of them
        self.records.hear(runner)
        runner.stdout.read()
        runner.stderr.read()
        if runner.is_garbled and runner.sent:
            self._condemn(runner)
            return
        self._finish_answered(runner)
        job = self._crew.jobs.get(runner.pid)
        if job is not None and runner.sent:
            self._feed(job, runner)
        for outlet in (runner.stdout, runner.stderr):
            if not outlet.is_open or (job is not None and job.is_stalled):
                self._wires.drop(outlet.descriptor)
        if runner.is_at_end:
            self._wires.drop(runner.answers)
            self._wires.drop(runner.records)

    def _condemn(self, runner: Runner) -> None:
        """Kill a runner that speaks nonsense; its end is that of the call it is at."""
        self.take_back(runner)
        job = self._crew.jobs.get(runner.pid) or self._promote(runner)
        job.verdict = (answers.GARBLED, None)
        job.kill()
        runner.answered.clear()
        self._wires.drop(runner.answers)
        self._wires.drop(runner.records)

    def _finish_answered(self, runner: Runner) -> None:
        crew = self._crew
        while runner.answered:
            answer, (_, task, _) = runner.answered[0], runner.sent[0]
            job = crew.jobs.get(runner.pid)
            has_written = runner.stdout.done[0] or runner.stderr.done[0]
            if job is None and (has_written or task.keep_background):
                job = self._promote(runner)
            end = answer.end(task)
            if job is not None:
                self._feed(job, runner)
                if job.is_stalled or not crew.intake.finish(job):
                    return
                end = job.end_told(end)
                crew.release(job)
                runner.is_retired |= job.is_ending
                if task.keep_background and not job.is_ending:
                    crew.reaper.kept.add(runner.pid)
            runner.is_retired |= not answer.is_clean
            self._drop_first(runner, answer)
            crew.end(task, end)
            if runner.is_retired:
                self.take_back(runner)
        if runner.pid not in crew.jobs and not runner.sent:
            self._let_go(runner)
        elif runner.pid not in crew.jobs:
            self._promote(runner)

    def _drop_first(self, runner: Runner, answer: Answer) -> None:
        task = runner.drop_first()
        self.records.end(task)
        runner.answered.popleft()
        runner.stdout.end()
        runner.stderr.end()
        self._pace.note(task, answer.taken)

    def _promote(self, runner: Runner) -> Job:
        """Make a job of the call whose turn it is."""
        slot = self._crew.slots.take()
        job = Job(runner.sent[0].task, runner.pid, slot, own_session=True, is_python=True)
        self._crew.take_in(job)
        return job

    def _feed(self, job: Job, runner: Runner) -> None:
        """Keep what the running call has written."""
        now = time.time()
        for name, outlet in (("stdout", runner.stdout), ("stderr", runner.stderr)):
            data = outlet.take()
            if data:
                self._crew.output += self.stream_of(job, name).take(data, now)
        if job.is_stalled:
            self._crew.look_after(job)

    def stream_of(self, job: Job, name: str) -> Stream:
        for stream in job.streams:
            if stream.name == name:
                return stream
        stream = self._make_stream(job.task, name, -1)
        stream.is_open = False  # it is fed, and reads nothing itself
        job.streams.append(stream)
        return stream

    def go_on(self, job: Job) -> None:
        """Hear a runner again for whose output there was no room, and now is."""
        runner = self._busy[job.pid]
        self._wires.watch(runner, partial(self.hear, runner))
        self.hear(runner)

    # Taking back

    def take_back_late(self, now: float) -> None:
        """Take back what waits behind a call that takes long; `now` is monotonic."""
        for runner in self._waited_for():
            if self.ahead.is_late(runner, now):
                self.hear(runner)  # it may be us who are late
                if len(runner.sent) > 1 and self.ahead.is_late(runner, now):
                    self.ahead.punish(now)
                    self.single_out(runner.pid)

    def next_deadline(self) -> float | None:
        """Return the monotonic time at which something is to be taken back."""
        starts = [self._crew.jobs[runner.pid].started for runner in self._waited_for()]
        return min(starts) + LATE if starts else None

    def _waited_for(self) -> list[Runner]:
        return [runner for runner in list(self._busy.values()) if len(runner.sent) > 1]

    def take_back_all(self) -> None:
        for runner in self._waited_for():
            self.single_out(runner.pid)

    def take_back_lost(self, attempts: Collection[tuple[int, int]]) -> None:
        """Take back what waits and is none of these (id, attempt): it may run elsewhere now."""
        for runner in self._waited_for():
            if any((each.task.id, each.task.attempt) not in attempts for each in runner.sent):
                self.single_out(runner.pid)

    def single_out(self, pid: int) -> None:
        """See that a runner has no call but one, and that it is known which."""
        runner = self._busy.get(pid)
        if runner is not None and len(runner.sent) > 1:
            self.take_back(runner)
            self.hear(runner)

    def runner_with(self, id: int) -> Runner | None:
        """Return the runner in which a task waits for its turn."""
        for runner in self._waited_for():
            if any(each.task.id == id for each in runner.sent):
                return runner
        return None

    def take_back(self, runner: Runner, is_dead: bool = False) -> None:
        job = self._crew.jobs.get(runner.pid)
        for task in runner.take_back(is_dead):
            if job is not None and job.task.id == task.id:
                self._crew.release(job)
            self._crew.give_back(task)

    # Ending

    def end(self, pid: int, wait_status: int, used: Usage) -> None:
        """Note that a runner has ended, and with it the call it was at."""
        runner = self._busy.get(pid)
        if runner is None:
            return
        self.hear(runner)
        if pid in self._busy:
            self.take_back(runner, is_dead=True)
        if not runner.sent:
            runner.is_retired = True
            self._let_go(runner)
            return
        job = self._crew.jobs.get(pid) or self._promote(runner)
        runner.stdout.is_open = runner.stderr.is_open = False
        self._feed(job, runner)
        job.wait_status, job.usage, job.drain_until = wait_status, used, time.monotonic()
        self._crew.look_after(job)

    def drop(self, pid: int) -> None:
        """Forget a runner that has ended, and whose call's end is noted."""
        runner = self._busy.pop(pid)
        for each in runner.sent:
            self.records.end(each.task)
        self._wires.unwatch(runner)
        runner.close()

    def runner_of(self, job: Job) -> Runner | None:
        return self._busy.get(job.pid)

    def _let_go(self, runner: Runner) -> None:
        if self._busy.pop(runner.pid, None) is not None:
            self._wires.unwatch(runner)
            self._idle.give_back(runner)
