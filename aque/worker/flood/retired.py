"""Own supervisors that have retired, until all that they have started has ended.

Till then they stay its parent: a command may signal that, or have asked the system to be killed
when it ends. They tell of ends, and of signals that came to them.
"""

from __future__ import annotations

import os
import selectors
import socket
import time

from aque import states
from aque.report import End
from aque.worker.crew import Crew
from aque.worker.flood.supervisor import received
from aque.worker.job import Job
from aque.worker.signals import Signals


class Retired:
    """The supervisors of one flood, by pid, and what they have running of the jobs of `crew`."""

    def __init__(
        self,
        crew: Crew,
        signals: Signals,
        selector: selectors.BaseSelector,
        told: socket.socket,
        pids: set[int],
    ) -> None:
        self._crew = crew
        self._signals = signals
        self._selector = selector
        self._told = told
        self._pids = pids
        self._jobs: dict[int, tuple[int, Job]] = {}  # by task: whose child, and the job
        self._selector.register(told, selectors.EVENT_READ, self.hear)
        crew.hear_ends(self.note_ended)
        self._leave_if_none()

    def take(self, job: Job, parent: int) -> None:
        """Take a job of the crew's, of which one that may be there still is the parent."""
        self._jobs[job.task.id] = parent, job
        if parent not in self._pids:
            self._part_from(parent)

    def hear(self) -> None:
        """Take in what has been told."""
        for ended in received(self._told):
            if ended.id:
                _, job = self._jobs.pop(ended.id)
                self._crew.note_end(job.pid, ended.wait_status, ended)
            else:
                self._signals.pass_on(ended.wait_status, ended.ended)

    def note_ended(self, pid: int, wait_status: int) -> None:
        """Hear of the end of a child of ours: of a supervisor's what it has left is ours too."""
        if pid in self._pids:
            self.hear()
            self._pids.remove(pid)
            self._part_from(pid)
            self._leave_if_none()

    def _part_from(self, parent: int) -> None:
        for id, (whose, job) in list(self._jobs.items()):
            if whose == parent:
                del self._jobs[id]
                if not _is_child(job.pid):
                    self._lose(job)

    def _lose(self, job: Job) -> None:
        """End a job of which nobody can tell any more how it ended."""
        task, reason = job.task, "the process that awaited it was killed"
        used = 0.0  # something, as it did run
        self._crew.release(job)
        end = End(
            task.id, task.attempt, states.ERROR, time.time(), error=reason,
            user_time=used, system_time=used,
        )  # fmt: skip
        self._crew.end(task, end)

    def _leave_if_none(self) -> None:
        if not self._pids:
            self._crew.hear_no_more(self.note_ended)
            self._selector.unregister(self._told)
            self._told.close()


def _is_child(pid: int) -> bool:
    """Whether this is a child of ours, be it that it has ended."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except OSError:  # also where it never had a pid
        return False
    return True
