"""Own what the screen does to a task: each act asks first, and says what came of it."""

from __future__ import annotations

from typing import Protocol

from aque import states
from aque.commands import terminal
from aque.commands.watch import cells
from aque.queue import Queue
from aque.task import Task


class Asking(Protocol):
    """Who is asked."""

    def fit(self, text: str, others: int) -> str: ...
    def confirm(self, question: str) -> bool: ...
    def read(self, question: str) -> str | None: ...


def kill(queue: Queue, task: Task, asking: Asking) -> str:
    if task.is_complete:
        return _ended(task)
    what = " and its children" if queue.broker.count_children([task.id]) else ""
    if not asking.confirm(_ask(asking, task, "kill ", f"{what}?")):
        return ""
    now = _as_it_is(queue, task)
    if now.is_complete:
        return _ended(now)
    queue.kill([task.id])
    return f"killing task {task.id}" if now.status == states.RUNNING else f"killed task {task.id}"


def retry(queue: Queue, task: Task, asking: Asking) -> str:
    if not task.is_complete:
        return f"task {task.id} is {task.status}; only one that has ended can be retried"
    again = "run again, though it has succeeded," if task.status == states.SUCCESS else "retry"
    if not asking.confirm(_ask(asking, task, f"{again} ", "?")):
        return ""
    now = _as_it_is(queue, task)
    if not now.is_complete:
        return f"task {task.id} is {now.status} again already"
    queue.retry([task.id], recursive=task.cause is not None)
    return f"task {task.id} waits for its next attempt"


def pause(queue: Queue, task: Task, asking: Asking) -> str:
    """Pause a task and its children, or let them go on where it is paused already."""
    if task.is_complete:
        return _ended(task)
    is_held = task.status == states.PAUSED or task.stopped_at is not None
    act = "resume" if is_held else "stop" if task.status == states.RUNNING else "pause"
    if not asking.confirm(_ask(asking, task, f"{act} ", "?")):
        return ""
    now = _as_it_is(queue, task)
    if now.is_complete:
        return _ended(now)
    family = queue.with_children([task.id])
    changed = queue.broker.resume(family) if is_held else queue.broker.pause(family)
    done = {"resume": "resumed", "stop": "stopped", "pause": "paused"}[act]
    return f"{done} {len(changed)} {'task' if len(changed) == 1 else 'tasks'}"


def prioritize(queue: Queue, task: Task, asking: Asking) -> str:
    if task.is_complete:
        return _ended(task)
    rest = f", now {task.priority}, larger goes first: "
    text = asking.read(_ask(asking, task, "priority of ", rest))
    if not text:
        return ""
    try:
        priority = int(text)
    except ValueError:
        return f"'{terminal.safe(text)}' is no whole number"
    if abs(priority) >= 1 << 63:
        return f"{text} is too large"
    now = _as_it_is(queue, task)
    if now.is_complete:
        return _ended(now)
    changed = queue.broker.prioritize(queue.with_children([task.id]), priority)
    return f"priority {priority} for {len(changed)} {'task' if len(changed) == 1 else 'tasks'}"


def _as_it_is(queue: Queue, task: Task) -> Task:
    """Return a task as it is once somebody has answered, which may have taken long."""
    (now,) = queue.broker.fetch([task.id])
    return now


def _ended(task: Task) -> str:
    return f"task {task.id} has ended already ({task.status})"


def _ask(asking: Asking, task: Task, begin: str, rest: str) -> str:
    """Return a question that names a task; where it is too long, less of the command."""
    begin, rest = f"{begin}task {task.id} (", f"){rest}"
    return begin + asking.fit(cells.named(task), len(begin + rest)) + rest
