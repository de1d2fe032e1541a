"""Own every error that aque raises on purpose, each with the exit status a command ends with."""

from __future__ import annotations


class AqueError(Exception):
    """The root of aque's errors: a message that names the thing and the next step to take."""

    exit_status = 1


class UsageError(AqueError):
    """What was asked for does not make sense, whatever the queue holds."""

    exit_status = 2


class BrokerError(AqueError):
    """The queue cannot be reached."""

    exit_status = 3


class TrustError(BrokerError):
    """The queue is somebody else's, and not ours to use."""


class ReplacedError(BrokerError):
    """The file of the queue is not the one that was opened: somebody moved or removed it."""


class LockTimeoutError(BrokerError):
    """Another process held the write lock for too long."""


class FullError(BrokerError):
    """There is no room left to write to the queue."""


class UnwritableError(BrokerError):
    """The queue may only be read."""


class TaskNotFoundError(AqueError):
    """No task has this id."""


class StateError(AqueError):
    """The task's state does not allow what was asked."""


class CodecError(AqueError):
    """A value cannot be turned into text, or a text not into a value."""


class LargeValueWarning(UserWarning):
    """A value is so large that it should be a file, and its path be passed."""


class DependencyError(AqueError):
    """A dependency stands in the way."""


class DependencyResolutionError(DependencyError):
    """A dependency does not exist."""


class DependencyCycleError(DependencyError):
    """A task would wait for itself."""


class DependencyFailedError(DependencyError):
    """A dependency failed, so the task never ran."""


class TaskFailedError(AqueError):
    """A task ended in error without a Python exception of its own.

    `exit_status` of the instance is the status a shell would give: the exit code, 128+N for
    signal N, 126 and 127 for a command that could not be started.
    """

    def __init__(self, message: str, exit_status: int | None = None) -> None:
        super().__init__(message)
        if exit_status is not None:
            self.exit_status = exit_status


class RemoteError(AqueError):
    """Stands for an exception whose own class cannot be found here."""

    def __init__(self, type_name: str, message: str) -> None:
        super().__init__(type_name, message)
        self.type_name = type_name
        self.message = message

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}"


def describe(error: BaseException) -> str:
    """Return `Type: message` of an exception, also of one that cannot be printed."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__
