"""Own how jobs are steered while they run: signals, cancels, their limits, and their loss."""

from __future__ import annotations

import signal
import time
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from aque.brokers.questions import Request
from aque.report import Begin
from aque.worker import limits
from aque.worker.job import Job, Signals, kill, send
from aque.worker.news import News

if TYPE_CHECKING:
    from aque.worker.calls import Calls
    from aque.worker.nocalls import NoCalls


class Steering:
    """Steers these jobs, by pid. `timed` are those that the crew looks at each turn."""

    def __init__(
        self, jobs: dict[int, Job], timed: dict[int, Job], calls: Calls | NoCalls, news: News
    ) -> None:
        self._jobs = jobs
        self._timed = timed
        self._calls = calls
        self._news = news

    def handle(self, requests: list[Request]) -> None:
        """Pass on signals and cancels to the jobs they are for."""
        for request in requests:
            runner = self._calls.runner_with(request.id)
            if runner is not None:  # it may be about to begin, or to give way to the next
                self._calls.single_out(runner.pid)
        now = time.monotonic()
        told = []
        for request in requests:
            for job in self._jobs.values():
                if (job.task.id, job.task.attempt) == (request.id, request.attempt):
                    told.append((job, job.handle(request, now)))
                    self._timed[job.pid] = job
        _send(told)

    def end_lost(self, begun: Sequence[Begin], answers: Sequence[bool]) -> None:
        """End what began when its task was cancelled already, says the answer to each."""
        lost = [one for one, is_ours in zip(begun, answers) if not is_ours]
        self.handle([Request(one.id, one.attempt, signal.SIGKILL, 0.0) for one in lost])

    def enforce_limits(self, grace: float) -> None:
        """Begin to end the jobs that are past their own limits."""
        if not self._timed:
            return
        now = time.monotonic()
        limited = [
            job
            for job in self._timed.values()
            if job.has_limits and not job.is_ending and job.wait_status is None
        ]
        limits.measure(limited, now)
        told = []
        for job in limited:
            verdict = limits.verdict(job, now)
            if verdict is not None:
                self._calls.single_out(job.pid)
                if self._jobs.get(job.pid) is job:
                    told.append((job, job.condemn(verdict, now, grace)))
        _send(told)

    def kill_overdue(self) -> None:
        if not self._timed:
            return
        now = time.monotonic()
        timed = self._timed.values()
        kill([job for job in timed if job.kill_at is not None and job.kill_at <= now])

    def cancel(self, number: int, grace: float) -> None:
        """Signal all jobs, and kill them after the grace; they end as cancelled."""
        self._calls.take_back_all()
        requests = [
            Request(job.task.id, job.task.attempt, number, grace) for job in self._jobs.values()
        ]
        self.handle(requests)

    @property
    def has_lost(self) -> bool:
        """Whether what ran of an attempt that was taken over has not ended yet."""
        return any(job.is_lost for job in self._jobs.values())

    def keep_only(self, attempts: Collection[tuple[int, int]]) -> list[int]:
        """Kill the jobs that are none of these (id, attempt); return their tasks' ids, once.

        What has begun and is yet to be recorded is nobody else's.
        """
        self._calls.take_back_lost(attempts)
        ours = {*attempts, *self._news.attempts()}
        lost = [
            job
            for job in self._jobs.values()
            if not job.is_lost and (job.task.id, job.task.attempt) not in ours
        ]
        for job in lost:
            job.is_lost = job.is_stopping = True
        kill(lost)
        return [job.task.id for job in lost]

    def stop(self, grace: float) -> None:
        self._calls.take_back_all()
        now = time.monotonic()
        self._timed.update(self._jobs)
        _send([(job, job.stop(now, grace)) for job in self._jobs.values()])


def _send(told: Iterable[tuple[Job, Signals]]) -> None:
    """Send jobs their signals, by one look at all that are to have the same."""
    for signals, group in groupby(told, itemgetter(1)):
        jobs = [job for job, _ in group]
        for number in signals:
            send(jobs, number)
