"""Own what a task shows without being asked: why it failed, what to do, how it ran before."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence

from aque import runs, states
from aque.brokers.base import Broker
from aque.brokers.questions import REQUEUED, Attempt, Selection
from aque.commands import lines, terminal
from aque.prototype import CHILD
from aque.reading import STDERR, Reader
from aque.task import Task

#: Lines of standard error that are shown, and tasks that are named, or attempts.
_LINES, _NAMED = 10, 5
_LONGEST = 500


def describe(broker: Broker, shown: Task) -> Iterator[str]:
    """Yield lines about a task that ended as an error or ran before, safe for a terminal."""
    if shown.status == states.ERROR:
        yield from _failure(broker, shown)
        return
    earlier = list(_earlier(broker, shown))
    if earlier:
        yield f"task {shown.id} ran before"
        yield from earlier


def _failure(broker: Broker, failed: Task) -> Iterator[str]:
    yield f"task {failed.id} failed: {terminal.safe(reason(broker, failed))}"
    if failed.started_at is not None:
        yield f"  ran       {_ran(failed)}"
        yield f"  where     {_where(broker, failed)}"
        if failed.user_time is not None:
            yield f"  used      {_used(failed)}"
    yield from _earlier(broker, failed)
    dependents = _dependents(broker, failed)
    if dependents:
        yield f"  failed    because of it: {dependents}"
    written = _last_lines(broker, failed)
    if written:
        yield f"  stderr    the last {len(written)} lines" if len(written) > 1 else "  stderr"
        yield from (f"    {line}" for line in written)
    yield f"  retry     {_retry(broker, failed)}"


def reason(broker: Broker, failed: Task) -> str:
    """Say in words how a task ended."""
    children = _of_children(broker, failed)
    if children:
        return children
    if failed.cause is not None:
        found = broker.select(Selection(ids=[failed.cause]))
        name = f" ({lines.label(found[0])})" if found else ", which was removed,"
        because = f"task {failed.cause}{name} failed"
        return because if failed.is_group else f"it never ran, since {because}"
    return _ending(failed, failed.pattern) or "nobody said why"


def _ending(ended: Task | Attempt, pattern: str | None) -> str:
    """Say in words how an attempt ended, as far as it was told; "" where it was not."""
    said = []
    if ended.exit_signal is not None:
        said.append(signal_in_words(ended.exit_signal))
    elif ended.exit_status:
        words = _status_in_words(ended.exit_status, pattern)
        said.append(f"it exited with status {ended.exit_status}{words}")
    error = (ended.error or "").strip()
    if error and not error.startswith("ended "):  # which says the same
        said.append(error.partition("\n")[0])
    return "; ".join(said) or error


def signal_in_words(number: int) -> str:
    try:
        name, words = signal.Signals(number).name, signal.strsignal(number)
    except ValueError:
        return f"it was ended by signal {number}"
    return f"it was ended by signal {number}, {name} ({words})"


def _status_in_words(status: int, pattern: str | None) -> str:
    """Say what a shell means by a status."""
    if pattern != "shell":
        return ""
    if status > 128 and status - 128 in signal.valid_signals():
        return f", by a shell: signal {status - 128}, {signal.Signals(status - 128).name}"
    return {124: " (a timeout)", 126: " (cannot be executed)", 127: " (not found)"}.get(status, "")


def _of_children(broker: Broker, failed: Task) -> str:
    counts = broker.count_children([failed.id]).get(failed.id, {})
    bad = sum(counts.get(status, 0) for status in states.FAILED_STATES)
    if not bad:
        return ""
    first = broker.children(failed.id, _NAMED, tuple(states.FAILED_STATES))
    named = ", ".join(str(child.id) for child in first) + (", ..." if bad > len(first) else "")
    return f"{bad:,} of its {sum(counts.values()):,} children did not succeed: {named}"


def _ran(failed: Task) -> str:
    took = lines.duration((failed.ended_at or 0) - (failed.started_at or 0))
    times = f"attempt {failed.attempt}, " if failed.attempt > 1 else ""
    command = terminal.safe(lines.label(failed))
    return f"{times}{took}: {command if len(command) <= _LONGEST else command[:_LONGEST] + '...'}"


def _where(broker: Broker, failed: Task) -> str:
    found = broker.workers([failed.worker]) if failed.worker is not None else []
    by = f"{found[0].host}, by worker {found[0].name}" if found else "by a worker that is forgotten"
    return terminal.safe(f"{by}, in {failed.cwd or '/'}")


def _used(failed: Task) -> str:
    said = [f"{lines.size(failed.max_rss)} of memory at its peak"] if failed.max_rss else []
    if failed.user_time is not None:
        said.append(f"{lines.duration(failed.user_time + (failed.system_time or 0))} of cpu")
    return ", ".join(said)


def _earlier(broker: Broker, shown: Task) -> Iterator[str]:
    """Yield a line for each attempt before the present one, of many for the last."""
    attempts = broker.attempts(shown.id)
    lead = "  before    "
    if len(attempts) > _NAMED:
        yield f"{lead}{len(attempts):,} attempts, of which the last:"
        lead = " " * len(lead)
    for attempt in attempts[-_NAMED:]:
        took = lines.duration(attempt.ended_at - attempt.started_at)
        ago = lines.ago(time.time() - attempt.ended_at)
        where = f" on {attempt.host}" if attempt.host else ""
        how = f"{attempt.status}{' to run again' if attempt.status == REQUEUED else ''}"
        why = _ending(attempt, shown.pattern)
        text = f"attempt {attempt.attempt}, {ago}, {took}{where}: {how}{why and f'; {why}'}"
        yield lead + terminal.safe(text)
        lead = " " * len(lead)


def _retry(broker: Broker, failed: Task) -> str:
    """Say how to retry a task, or why that cannot be: what it needs has to be there."""
    missing = _missing(broker, failed)
    if missing is not None:
        task, dependency = missing
        return f"not possible: task {task} depends on task {dependency}, which was removed"
    if runs.is_cut_off(failed):
        return f"aque-xargs --resume {failed.id}, with its input"
    is_by_another = failed.cause is not None and not _of_children(broker, failed)
    return f"aque-retry {'-r ' if is_by_another else ''}{failed.id}"


def _missing(broker: Broker, failed: Task) -> tuple[int, int] | None:
    """Return a task that a retry would retry too, and a dependency of it that was removed."""
    level, seen = [failed.id], set[int]()
    while level:
        seen.update(level)
        needs = {e.dependency: e.task for e in broker.edges(level) if e.kind != CHILD}
        statuses = broker.statuses(list(needs))
        for dependency in sorted(needs.keys() - statuses.keys()):
            return needs[dependency], dependency
        further = {id for id, status in statuses.items() if status in states.FAILED_STATES}
        level = sorted(further - seen)
    return None


def _dependents(broker: Broker, failed: Task) -> str:
    above = [edge.task for edge in broker.dependents([failed.id]) if edge.kind != CHILD]
    ids = [id for id, status in broker.statuses(above).items() if status == states.ERROR]
    more = f" and {len(ids) - _NAMED:,} more" if len(ids) > _NAMED else ""
    return ", ".join(map(str, ids[:_NAMED])) + more


def _last_lines(broker: Broker, failed: Task) -> Sequence[str]:
    """Return the end of what it wrote to standard error."""
    if not failed.attempt:
        return ()
    written: list[bytes] = []
    reader = Reader(broker, failed.id, failed.attempt, [STDERR])
    reader.tail(_LINES, lambda stream, data: written.append(data))
    text = b"".join(written).decode("utf-8", "surrogateescape")
    shown = [line.rstrip("\r").rpartition("\r")[2][:_LONGEST] for line in text.split("\n")]
    return [terminal.safe(line.expandtabs()) for line in shown[:-1] + [x for x in shown[-1:] if x]]
