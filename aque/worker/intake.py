"""Own how the output of jobs is read as it comes, and kept until it can be recorded.

Where the disk is full a stream stalls: it is read no more, so that its writer waits, until what was
read has found room.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Iterable
from functools import partial

from aque.report import Chunk
from aque.worker.job import Job

#: Seconds until output that found no room on the disk is tried again.
_STALL = 1.0


class Intake:
    """Reads the pipes of jobs into `output`. `look_after` has a job be looked at each turn."""

    def __init__(
        self,
        output: list[Chunk],
        selector: selectors.BaseSelector,
        look_after: Callable[[Job], object],
    ) -> None:
        self._output = output
        self._selector = selector
        self._look_after = look_after
        #: When what has stalled is tried again; monotonic.
        self.retry_at = 0.0

    def watch(self, job: Job) -> None:
        """Have the loop read what a job writes, as it comes."""
        for stream in job.streams:
            if stream.is_open and stream.descriptor not in self._selector.get_map():
                read = partial(self.read, job)
                self._selector.register(stream.descriptor, selectors.EVENT_READ, read)

    def read(self, job: Job) -> None:
        """Read what there is; a runner's pipes are read with its answers."""
        if job.is_python:
            return
        now = time.time()
        for stream in job.streams:
            if stream.is_open or stream.is_stalled:
                self._output += stream.read(now)
                if stream.is_stalled:
                    self._note_stall(job)
                if not stream.is_open or stream.is_stalled:
                    self._unregister(stream.descriptor)

    def retry(self, jobs: Iterable[Job], go_on: Callable[[Job], object]) -> None:
        """Try again to keep output for which there was no room; runners may then `go_on`."""
        if time.monotonic() < self.retry_at:
            return
        for job in [job for job in jobs if job.is_stalled]:
            self.read(job)
            if job.is_python:
                for stream in job.streams:
                    stream.take(b"", time.time())
            if job.is_stalled:
                self._note_stall(job)
            elif job.is_python:
                go_on(job)
            else:
                self.watch(job)

    def give_up(self, job: Job) -> None:
        """Have no output of a job wait for room any more."""
        for stream in job.streams:
            if stream.is_stalled:
                stream.give_up()

    def finish(self, job: Job) -> bool:
        """Keep the last of a job's output; False where that is to be tried again."""
        for stream in job.streams:
            if not stream.is_stalled:
                self._output += stream.finish(time.time())
        if job.is_stalled:
            self._note_stall(job)
        return not job.is_stalled

    def leave(self, job: Job) -> None:
        """Read no more of a job that is through."""
        for stream in job.streams:
            self._unregister(stream.descriptor)
            stream.close()

    def _note_stall(self, job: Job) -> None:
        self._look_after(job)
        self.retry_at = time.monotonic() + _STALL

    def _unregister(self, descriptor: int) -> None:
        if descriptor >= 0 and descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)
