"""Own what an ended task means to whoever waited: a value, an exception, an exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aque import codec, states, trust
from aque.errors import AqueError, DependencyFailedError, TaskFailedError
from aque.task import Task

if TYPE_CHECKING:
    from aque.brokers.base import Broker

#: What a shell says of a command that a signal ended: 128 and its number.
_SIGNALLED = 128
NEVER_RAN = 125


def exit_status(task: Task) -> int:
    """Return the status with which a command that waited for this task ends."""
    if task.status == states.SUCCESS:
        return 0
    if task.status == states.CANCELLED and task.started_at is None:
        return NEVER_RAN
    if task.exit_signal is not None:
        return _SIGNALLED + task.exit_signal
    if task.status == states.CANCELLED and task.cancel_signal is not None and not task.exit_status:
        return _SIGNALLED + task.cancel_signal
    return task.exit_status or 1


def result(task: Task) -> Any:
    """Return the value of a success. Raises CodecError where it cannot be decoded here."""
    return None if task.result is None else codec.decode(task.result, trusted=_is_trusted(task))


def exception(task: Task, broker: Broker) -> BaseException | None:
    """Return what a task failed with, caused by what a dependency did; None for a success."""
    if task.status == states.SUCCESS:
        return None
    if task.status == states.CANCELLED:
        from concurrent.futures import CancelledError

        return CancelledError(f"task {task.id} was cancelled: {task.error}")
    if task.exception is not None:
        decoded = codec.decode(task.exception, trusted=_is_trusted(task))
        if isinstance(decoded, BaseException):
            return decoded
    if task.cause is not None:
        failed = DependencyFailedError(f"task {task.id}: {task.error}")
        failed.__cause__ = _of_dependency(task.cause, broker)
        return failed
    return TaskFailedError(f"task {task.id} {task.error}", exit_status(task))


def _of_dependency(id: int, broker: Broker) -> BaseException | None:
    """Return what a dependency failed with, where that is still known, and can be decoded here."""
    try:
        task = broker.fetch([id])[0]
        return exception(task, broker) if task.is_complete else None
    except AqueError:
        return None


def _is_trusted(task: Task) -> bool:
    """A value may run code when it is decoded, so only one's own may."""
    return task.user == trust.user_name()
