"""Own how one short command follows another: where one has ended the next starts, before all else.

Between two commands all is cold that a processor caches, since a command has just thrown it out:
the same work takes twice as long there as it does in one go. So here is done what cannot wait, as
directly as can be; how they ended is told of many at a time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from aque.task import Task
from aque.worker.crew import Crew

#: Ends heard in one go: between two the loop looks what else is due.
_MOST = 8


def pass_on(crew: Crew, take: Callable[[], Task | None], worker: int, slots: int) -> bool:
    """Hear what has ended; start in its slot what `take` gives, where a command has succeeded.

    No more than `slots` run. From the first end of another kind on it only hears: of that the plan
    is to be told before anything else begins. Returns whether more may have ended.
    """
    jobs, news, put = crew.jobs, crew.news, crew.aside.put
    news.ended_at = time.monotonic()
    for _ in range(_MOST):
        try:
            pid, wait_status, rusage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if not pid:
            return False
        job = jobs.get(pid)
        if job is None or wait_status or job.streams or pid in crew.timed or job.is_ending:
            crew.note_end(pid, wait_status, rusage)
            crew.note_ended()
            return False
        now = time.time()
        put(job, wait_status, rusage, now)
        crew.guard.drop(pid)
        del jobs[pid]
        news.started.pop(pid, None)
        if len(jobs) >= slots or (task := take()) is None:
            crew.slots.give(job.slot)
            continue
        news.begun[task.id] = task.attempt, worker, now
        if not crew.start_in(task, job.slot):
            crew.note_ended()
            return False
    return True
