"""Own how a command that runs inside a task finds that task."""

from __future__ import annotations

import os

from aque import brokers
from aque.brokers.base import Broker
from aque.errors import UsageError


def task_of_ours() -> tuple[Broker, int, int]:
    """Return the queue, id and attempt of the task we run in. Raises UsageError outside of one."""
    id, attempt = os.environ.get("AQUE_TID", ""), os.environ.get("AQUE_ATTEMPT", "")
    if not id.isdigit() or not attempt.isdigit():
        raise UsageError("this is not inside a task: $AQUE_TID and $AQUE_ATTEMPT are not set")
    broker = brokers.from_url(durable=False, create=False)
    broker.fetch([int(id)])
    return broker, int(id), int(attempt)
