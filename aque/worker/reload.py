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
from collections import deque
from collections.abc import Iterable
from typing import Any

from aque.record import replace
from aque.task import Task
from aque.worker import files
from aque.worker.answers import Answer
from aque.worker.crew import Crew
from aque.worker.job import Job
from aque.worker.loop import Worker
from aque.worker.outlet import Outlet
from aque.worker.pieces import Pieces
from aque.worker.program import STATE, Program
from aque.worker.runners import Runner, Sent


def take_state() -> dict[str, Any] | None:
    """Return what the program before us left, once; None at a first start."""
    descriptor = os.environ.pop(STATE, None)
    if descriptor is None:
        return None
    with open(int(descriptor), "rb") as file:
        file.seek(0)
        state: dict[str, Any] = json.load(file)
    return state


def execute(worker: Worker, program: Program) -> None:
    """Exec the worker's program. Raises OSError or BrokerError, and the old code goes on."""
    inherited = _inherited(worker)
    worker.crew.starter.runners.close()
    member = worker.membership
    state = {
        "membership": {
            key: getattr(member, key) for key in ("id", "token", "kind", "user", "life", "name")
        },
        "share": vars(worker.share),
        "guard": worker.guard.state(),
        "is_draining": worker.is_draining,
        "drain_until": worker.drain_until,
        "on_terminal": worker.on_terminal,
        "watched": None if worker.renewal is None else worker.renewal.state(),
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
            program.execute({**os.environ, STATE: str(file.fileno())})
        except OSError:
            _set_inheritable(inherited, False)
            worker.signals.install()
            raise


def resume(worker: Worker, state: dict[str, Any]) -> None:
    """Give the new program's worker the jobs of the old one's."""
    worker.guard.resume(state["guard"])
    worker.is_draining = state["is_draining"]
    worker.drain_until = state["drain_until"]
    worker.on_terminal = state["on_terminal"]
    worker.crew.starter.runners.remember(state.get("runners", ()))
    worker.crew.reaper.kept.update(state.get("kept", ()))
    jobs = state["jobs"]
    tasks = worker.broker.fetch([job["task"] for job in jobs])
    for task, saved in zip(tasks, jobs):
        runner = saved.pop("runner")
        streams, log = saved.pop("streams"), saved.pop("log", None)
        # Another attempt of it may be running elsewhere by now: this job is of its own.
        ours = replace(task, attempt=saved.pop("attempt"))
        job = Job(ours, saved["pid"], saved["slot"], saved["own_session"])
        vars(job).update(saved, task=ours)
        for name, descriptor, stream_state in streams:
            stream = worker.crew.starter.stream(job.task, name, descriptor)
            stream.resume(stream_state)
            job.streams.append(stream)
        worker.crew.slots.hold(job.slot)
        worker.crew.adopt(job, None if runner is None else _runner(runner, job.task))
        if log is not None:
            worker.crew.records.resume(job.task, log)
    # The lock above all: a job that inherited it would keep a dead worker alive.
    _set_inheritable(_inherited(worker), False)


def _inherited(worker: Worker) -> list[int]:
    guard = [] if worker.guard.pid is None else [worker.guard.pipe]
    return [worker.membership.life, *guard, *_descriptors(worker.crew)]


def _descriptors(crew: Crew) -> Iterable[int]:
    for job in crew.jobs.values():
        runner = crew.runner_of(job)
        if runner is not None:
            yield from runner.descriptors()
        else:
            yield from (stream.descriptor for stream in job.streams)


def _job_state(crew: Crew, job: Job) -> dict[str, Any]:
    kept = (
        "pid slot own_session is_python is_start_recorded started cancel_signal is_stopping"
        " verdict stopped_since stopped_for peak kill_at"
    )
    state: dict[str, Any] = {name: getattr(job, name) for name in kept.split()}
    state["task"] = job.task.id
    state["attempt"] = job.task.attempt
    state["streams"] = [(s.name, s.descriptor, s.state()) for s in job.streams]
    runner = crew.runner_of(job)
    state["runner"] = None if runner is None else _runner_state(runner)
    state["log"] = None if runner is None else crew.records.state(job.task.id)
    return state


def _runner_state(runner: Runner) -> dict[str, Any]:
    """Return what is known of a runner; it has one call, since the others were taken back."""
    kept = "key pid mark requests tokens returned answers records number".split()
    state: dict[str, Any] = {name: getattr(runner, name) for name in kept}
    state["sent"] = runner.sent[0].number
    for name in ("buffer", "records_buffer"):
        state[name] = getattr(runner, name).decode("latin-1")
    for name in ("stdout", "stderr"):
        outlet: Outlet = getattr(runner, name)
        done = [data.decode("latin-1") for data in outlet.done]
        state[name] = [outlet.descriptor, outlet.rest.decode("latin-1"), done]
    state["pieces"] = runner.pieces.begun
    state["answered"] = list(runner.answered)
    return state


def _runner(saved: dict[str, Any], task: Task) -> Runner:
    """Make the runner again; it holds the old code, so this task is its last."""
    for name in ("buffer", "records_buffer"):
        saved[name] = saved[name].encode("latin-1")
    saved["buffer"] = bytearray(saved["buffer"])
    for name in ("stdout", "stderr"):
        descriptor, rest, done = saved[name]
        outlet = Outlet(descriptor, saved["mark"].encode(), rest.encode("latin-1"))
        outlet.done.extend(data.encode("latin-1") for data in done)
        saved[name] = outlet
    saved["pieces"] = Pieces(saved.get("pieces"))
    saved["answered"] = deque(Answer(*values) for values in saved["answered"])
    saved["key"] = tuple(saved["key"])
    saved["sent"] = deque([Sent(saved["sent"], task, 0)])
    return Runner(**saved, is_retired=True)


def _set_inheritable(descriptors: Iterable[int], inheritable: bool) -> None:
    for descriptor in descriptors:
        os.set_inheritable(descriptor, inheritable)
