"""Own the lines that people read: a task in one line, its columns aligned with those around it."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence

from aque import states, task
from aque.commands import lost, terminal
from aque.commands.lost import NOBODY, Dead
from aque.commands.terminal import Terminal
from aque.record import record
from aque.task import Task

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
#: What an outcome is cut to on a terminal; at a pipe a longer one moves what follows it.
_OUTCOME_WIDTH = 24
#: What a label keeps before the words after it are let go, and what any is cut to at a pipe.
_LABEL_WIDTH, _LONGEST = 12, 4096


@record(frozen=True)
class Line:
    """A task, or without one `text`; `lead` is drawn before it, `tail` said after it.

    `short` takes the place of a text for which there is no room, as far as it goes. `part` of what
    is below the task has ended, where that is known. A text that sums up a list says by `of` whose,
    and of what.
    """

    task: Task | None
    lead: str = ""
    text: str = ""
    tail: str = ""
    short: str = ""
    part: float | None = None
    of: tuple[int, str] | None = None


def layout(
    lines: Sequence[Line], screen: Terminal, now: float, dead: Dead = NOBODY
) -> Iterator[str]:
    """Write lines as wide as the screen, without wrapping. `now` is Unix seconds."""
    rows = [_columns(line, now, screen, dead) for line in lines]
    widths = [max(map(len, column)) for column in zip(*rows)]
    widths[3:] = [min(width, _OUTCOME_WIDTH) for width in widths[3:]]
    for line, row in zip(lines, rows):
        yield _write(line, row, widths, screen)


def duration(seconds: float) -> str:
    """Write seconds in at most six characters, as `0.40s`, `2.4s`, `3m12s`, `1h02m`, `2d03h`."""
    seconds = max(seconds, 0.0)
    if seconds < 0.995:
        return f"{seconds:.2f}s"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    return _whole(round(seconds))


def _whole(seconds: int) -> str:
    if seconds < _MINUTE:
        return f"{seconds}s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE}m{seconds % _MINUTE:02d}s"
    if seconds < _DAY:
        return f"{seconds // _HOUR}h{seconds % _HOUR // _MINUTE:02d}m"
    return f"{seconds // _DAY}d{seconds % _DAY // _HOUR:02d}h"


def size(number: float) -> str:
    """Write bytes in at most five characters, as `512`, `9.8K`, `120M`, `1.2G`."""
    for unit in ("", "K", "M", "G"):
        if number < 999.5:
            return f"{number:.1f}{unit}" if unit and number < 9.95 else f"{number:.0f}{unit}"
        number /= 1024
    return f"{number:.1f}T" if number < 99.95 else f"{number:.0f}T"


def ago(seconds: float) -> str:
    """Say how long ago something was; clocks of other hosts may be ahead."""
    return f"{_whole(int(max(seconds, 0)))} ago"


def when(shown: Task, now: float) -> str:
    """Say how long a task has been running, how long ago it ended, or when it may begin."""
    if shown.ended_at is not None:
        return ago(now - shown.ended_at)
    if shown.status == states.RUNNING and shown.started_at is not None:
        return duration(now - shown.started_at)
    if shown.due_at is not None and shown.due_at > now:
        return f"in {duration(shown.due_at - now)}"
    return ""


def outcome(shown: Task, dead: Dead = NOBODY) -> str:
    """Say in a few words how a task ended, how far it is, or what it waits for."""
    if shown.status == states.ERROR:
        return terminal.safe(_failure(shown))
    if shown.status == states.SUCCESS and shown.error:  # it was declined, and never ran
        return terminal.safe(shown.error)
    if shown.status == states.SUCCESS and shown.started_at and shown.ended_at:
        return f"took {duration(shown.ended_at - shown.started_at)}"
    if condition(shown, dead):
        return condition(shown, dead)
    if shown.status == states.RUNNING and shown.progress_done and shown.progress_total:
        return f"{100 * shown.progress_done / shown.progress_total:.0f}%"
    if shown.status in states.WAITING_STATES and shown.waiting and not shown.is_group:
        return f"waits for {shown.waiting}"
    return ""


def part_of_run(shown: Task, children: Mapping[str, int]) -> float | None:
    """Return how much of a running aque-xargs has ended, once its input has and all is known."""
    if shown.status != states.CREATING or not shown.progress_total:
        return None
    ended = sum(children.get(status, 0) for status in states.COMPLETE_STATES)
    return ended / max(shown.progress_total, sum(children.values()))  # one resumed may get more


def condition(shown: Task, dead: Dead) -> str:
    """Say what its state does not tell: that its worker died, or what somebody has asked of it."""
    if dead and lost.note(shown, dead):
        return lost.note(shown, dead)
    if shown.status != states.RUNNING:
        return ""
    return "killing" if shown.cancel_at else "stopped" if shown.stopped_at else ""


def label(shown: Task) -> str:
    """Return the task's label, safe for a terminal, whatever its row holds."""
    try:
        text = task.label(shown)
    except (ValueError, TypeError, AttributeError):  # written by another program: no JSON of ours
        text = task.func_name(shown)
    return terminal.safe(text[:_LONGEST])


def _failure(shown: Task) -> str:
    if shown.cause is not None:
        return f"#{shown.cause} failed"
    if shown.error and not shown.error.startswith("ended "):  # it says more than a number
        return shown.error.strip().partition("\n")[0]
    if shown.exit_signal is not None:
        return _signal_name(shown.exit_signal)
    if shown.exit_status:
        return f"exit {shown.exit_status}"
    return (shown.error or "").strip().partition("\n")[0]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _columns(line: Line, now: float, screen: Terminal, dead: Dead) -> tuple[str, str, str, str]:
    shown = line.task
    if shown is None:
        return ("", "", "", "")
    came_of = outcome(shown, dead) or ("" if line.part is None else f"{int(100 * line.part)}%")
    if screen.width is not None:
        came_of = screen.fit(came_of, _OUTCOME_WIDTH)
    return (str(shown.id), shown.status, when(shown, now), came_of)


def _write(line: Line, row: Sequence[str], widths: Sequence[int], screen: Terminal) -> str:
    number, status, *others = (text.ljust(w) for text, w in zip(row, widths))
    head = f"{row[0]:>{len(number)}} "
    middle = "".join(f" {text}" for text, width in zip(others, widths[2:]) if width)
    pieces = [(head, ""), (status, row[1]), (f"{middle}  {line.lead}", "")]
    written, room = "", screen.width
    for text, color in pieces:
        text = screen.fit(text, room)
        room = None if room is None else room - terminal.width_of(text)
        written += screen.paint(text, color)
    return (written + _body(line, room, screen)).rstrip()


def _body(line: Line, room: int | None, screen: Terminal) -> str:
    """Cut the label rather than what is said after it, unless there is room for neither."""
    text = line.text if line.task is None else label(line.task)
    if room is None:
        return text + line.tail
    if line.short and terminal.width_of(text) > room:
        text = line.short
    left = room - terminal.width_of(line.tail)
    if line.tail and left >= _LABEL_WIDTH:
        return screen.fit(text, left) + line.tail
    return screen.fit(text + line.tail, room)
