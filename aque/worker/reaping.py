"""Own how the ends of children are heard of, and what each end takes along.

Ends come by waitid(WNOWAIT): it tells who has ended but leaves the zombie, and with it the pid and
the number of its session, so that what is left of the session can be killed while that number is
still surely ours. Only then wait4 reaps, and gives the rusage. Children that are nobody's job
(orphans that the subreaper inherited, idle runners) are reaped as they come. Those of a foreground
worker lead no session that would have to be cleared up.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aque.worker import processes
from aque.worker.job import Job
from aque.worker.starter import Starter


class Reaper:
    """Reaps the children of a worker whose jobs, by pid, are these.

    `read` reads what is there of a job's output. `kept` are the runners whose last task leaves what
    it started.
    """

    def __init__(
        self, starter: Starter, jobs: Mapping[int, Job], read: Callable[[Job], object]
    ) -> None:
        self.kept: set[int] = set()
        self._starter = starter
        self._jobs = jobs
        self._read = read

    def reap(self) -> Iterator[tuple[int, int, Any]]:
        """Yield the pid, the wait status and the rusage of each child that has ended."""
        try:
            if self._starter.is_foreground:
                while (ended := os.wait4(-1, os.WNOHANG))[0]:
                    yield ended
                return
            while (
                found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            ) is not None:
                self._see_off(found.si_pid)
                yield os.wait4(found.si_pid, 0)
        except ChildProcessError:
            return

    def _see_off(self, pid: int) -> None:
        """Do what must be done while the number of an ended process is still ours."""
        job = self._jobs.get(pid)
        if job is not None:
            self._end_session(job)
        if self._starter.runners.forget(pid) and job is None and pid not in self.kept:
            kill_group(pid)
        self.kept.discard(pid)

    def _end_session(self, job: Job) -> None:
        """Kill what the job leaves behind; if it was told to end, the rest has its grace too."""
        if not job.own_session:
            return
        if job.kill_at is not None:
            job.note_rest(processes.Table())
            return
        if job.task.keep_background and not job.is_ending:
            return
        kill_group(job.pid)
        self._read(job)
        if not job.is_drained or job.is_ending:  # somebody of another group may be left
            processes.send(processes.of_session(job.pid), signal.SIGKILL)


def kill_group(pid: int) -> None:
    """Kill the process group that a process led, if any of it is left."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
