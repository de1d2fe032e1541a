"""Own the hot reload: the worker execs its own program, same pid, and its jobs never notice.

The ids of what runs are in the queue; what only the process knows (descriptors, how far a stream
was read, whom it was about to kill) is a small JSON in a file without a name, whose descriptor
the new program finds in its environment. Pipes, the lock that says the worker lives and that file
are inherited. Signals are blocked before the exec and unblocked once the new handlers stand, so
each is noted by the old program or by the new. Idle runners are let go, since they hold old code;
a busy one is retired when its task has ended.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from aque.record import replace
from aque.worker import files
from aque.worker.crew import Crew
from aque.worker.job import Job
from aque.worker.loop import Worker
from aque.worker.program import STATE
from aque.worker.renewal import Renewal
from aque.worker.runners import Runner


def take_state() -> dict[str, Any] | None:
    """Return what the program before us left, once; None at a first start."""
    descriptor = os.environ.pop(STATE, None)
    if descriptor is None:
        return None
    with open(int(descriptor), "rb") as file:
        file.seek(0)
        state: dict[str, Any] = json.load(file)
    return state


def execute(worker: Worker, renewal: Renewal) -> None:
    """Exec the worker's program anew. Raises OSError or BrokerError, and the old code goes on."""
    inherited = _inherited(worker)
    worker.crew.starter.runners.close()
    member = worker.standing.membership
    state = {
        "membership": {
            key: getattr(member, key) for key in ("id", "token", "kind", "user", "life", "name")
        },
        "share": vars(worker.standing.share),
        "guard": worker.crew.guard.state(),
        **worker.state(),
        "watched": renewal.state(),
        "runners": sorted(worker.crew.starter.runners.pids),
        "kept": sorted(worker.crew.reaper.kept),
        "jobs": [_job_state(worker.crew, job) for job in worker.crew.jobs.values()],
    }
    with open(files.nameless(), "w+b") as file:
        worker.broker.close()
        worker.signals.block()
        file.write(json.dumps(state).encode())
        file.flush()
        inherited.append(file.fileno())
        _set_inheritable(inherited, True)
        try:
            renewal.program.execute({**os.environ, STATE: str(file.fileno())})
        except OSError:
            _set_inheritable(inherited, False)
            worker.signals.install()
            raise


def resume(worker: Worker, state: dict[str, Any]) -> None:
    """Give the new program's worker the jobs of the old one's."""
    worker.crew.guard.resume(state["guard"])
    worker.resume(state)
    worker.crew.starter.runners.remember(state.get("runners", ()))
    worker.crew.reaper.kept.update(state.get("kept", ()))
    jobs = state["jobs"]
    tasks = worker.broker.fetch([job["task"] for job in jobs])
    for task, saved in zip(tasks, jobs):
        # Another attempt of it may be running elsewhere by now: this job is of its own.
        ours = replace(task, attempt=saved["attempt"])
        job = Job.resumed(saved, ours)
        for name, descriptor, stream_state in saved["streams"]:
            stream = worker.crew.starter.stream(job.task, name, descriptor)
            stream.resume(stream_state)
            job.streams.append(stream)
        worker.crew.slots.hold(job.slot)
        runner = saved["runner"]
        worker.crew.adopt(job, None if runner is None else Runner.resumed(runner, ours))
        if saved.get("log") is not None:
            worker.crew.records.resume(ours, saved["log"])
    # The lock above all: a job that inherited it would keep a dead worker alive.
    _set_inheritable(_inherited(worker), False)


def _inherited(worker: Worker) -> list[int]:
    guard = worker.crew.guard
    pipes = [] if guard.pid is None else [guard.pipe]
    return [worker.standing.membership.life, *pipes, *_descriptors(worker.crew)]


def _descriptors(crew: Crew) -> Iterable[int]:
    for job in crew.jobs.values():
        runner = crew.runner_of(job)
        if runner is not None:
            yield from runner.descriptors()
        else:
            yield from (stream.descriptor for stream in job.streams)


def _job_state(crew: Crew, job: Job) -> dict[str, Any]:
    runner = crew.runner_of(job)
    return {
        **job.state(),
        "task": job.task.id,
        "attempt": job.task.attempt,
        "streams": [(s.name, s.descriptor, s.state()) for s in job.streams],
        "runner": None if runner is None else runner.state(),
        "log": None if runner is None else crew.records.state(job.task.id),
    }


def _set_inheritable(descriptors: Iterable[int], inheritable: bool) -> None:
    for descriptor in descriptors:
        os.set_inheritable(descriptor, inheritable)
