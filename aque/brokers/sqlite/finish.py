"""Own how a running attempt ends, and what a worker reports of it.

An end is fenced by (id, attempt): what comes late, from a worker thought dead, changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from aque import bell, states
from aque.brokers.questions import REQUEUED
from aque.brokers.sqlite import begin, graph
from aque.brokers.sqlite.latest import PROCESS, cleared
from aque.brokers.sqlite.sizes import pieces
from aque.brokers.sqlite.transaction import Transaction, storable
from aque.report import Chunk, End, Progress, Report, Start

_FINISH = """
UPDATE task SET status = ?, ended_at = ?, exit_status = ?, exit_signal = ?, result = ?,
exception = ?, error = ?, user_time = ?, system_time = ?, max_rss = ?,
started_at = coalesce(?, started_at), changed = ?
WHERE id = ? AND attempt = ? AND status = 'running'
"""
#: Set from what is told of each, whose id comes first, then the attempt, then these.
_SUCCEED = """
UPDATE task SET status = 'success', ended_at = {2}, result = {3}, user_time = {4},
system_time = {5}, max_rss = {6}, started_at = coalesce({7}, started_at), changed = ?1
WHERE id IN ({0}) AND attempt = {1} AND status = 'running'
"""
#: Successes that are one statement: each checks the transition, and can be undone, by itself.
_TOGETHER = 16
_HAS_SUCCEEDED = "SELECT 1 FROM task WHERE id = ? AND attempt = ? AND changed = ?"
_GIVE_BACK = f"""
UPDATE task SET status = 'pending', attempt = attempt - 1, {cleared(PROCESS)},
changed = ? WHERE id = ? AND attempt = ? AND status = 'running'
"""
_STOPPED = "SELECT 1 FROM task WHERE id = ? AND stopped_at IS NOT NULL"
_PROGRESS = """
UPDATE task SET progress_done = ?, progress_total = ?, progress_message = ?
WHERE id = ? AND attempt = ? AND status IN ('running', 'creating')
"""
_IS_RUNNING = "SELECT cancel_at FROM task WHERE id = ? AND attempt = ? AND status = 'running'"
_REQUEUE = f"""
UPDATE task SET status = 'pending', waiting = ?, cause = ?, {cleared(PROCESS)}, changed = ?
WHERE id = ? AND attempt = ? AND status = 'running'
"""
_ARCHIVE = """
INSERT OR REPLACE INTO attempt (task, attempt, status, started_at, ended_at, worker, exit_status,
exit_signal, error)
SELECT id, attempt, coalesce(?, status), started_at, coalesce(ended_at, ?), worker, exit_status,
exit_signal, coalesce(?, error) FROM task WHERE started_at IS NOT NULL AND id IN ({})
"""
_NOTE_OUTCOME = """
UPDATE task SET exit_status = ?, exit_signal = ?, exception = ?, error = ?, user_time = ?,
system_time = ?, max_rss = ?, due_at = ?, retried = retried + 1
WHERE id = ? AND attempt = ? AND status = 'running'
"""
_CRASHED = """
UPDATE task SET crashes = crashes + 1
WHERE id = ? AND attempt = ? AND status = 'running' AND cancel_at IS NULL
"""
_STARTED = """
UPDATE task SET pid = ?, pid_started = ?, session = ?, started_at = coalesce(started_at, ?)
WHERE id = ? AND attempt = ? AND status = 'running'
"""
_OUTPUT = """
INSERT INTO output (task, attempt, stream, offset, at, data)
SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM task WHERE id = ?1)
"""

_LOGGED = """
SELECT coalesce(max(offset + coalesce(length(data), 0)), 0), coalesce(max(data IS NULL), 0)
FROM output WHERE task = ? AND attempt = ? AND stream = 'log'
"""


def record(tx: Transaction, report: Report) -> list[bool]:
    begun = begin.begin(tx, report.begun, report.ends)
    write_output(tx, report.output)
    for progress in report.progress:
        _note_progress(tx, progress)
    for start in report.starts:
        _record_start(tx, start)
    return [*begun.values(), *finish(tx, report.ends, begun)]


def finish(
    tx: Transaction, ends: Sequence[End], begun: Mapping[int, bool] = MappingProxyType({})
) -> list[bool]:
    """Record ends; those of `begun` were written with their begin, where that was not too late."""
    plain = [end for end in ends if _is_plain(end) and not (begun and begin.is_written(end, begun))]
    succeeded = _succeed(tx, plain)
    answers = [
        succeeded[end.id, end.attempt]
        if (end.id, end.attempt) in succeeded
        else begun[end.id]
        if begun and begin.is_written(end, begun)
        else _finish(tx, end)
        for end in ends
    ]
    done = [e.id for e, ours in zip(ends, answers) if ours and e.is_final]
    graph.ended(tx, done)
    return answers


def requeue(tx: Transaction, attempts: Sequence[tuple[int, int]], reason: str) -> list[bool]:
    answers = [_requeue(tx, id, attempt, REQUEUED, reason) for id, attempt in attempts]
    tx.rings.add(bell.READY)
    return answers


def count_crashes(tx: Transaction, attempts: Sequence[tuple[int, int]], most: int) -> None:
    """Note that these took their workers down, and end those that have done so `most` times."""
    for id, attempt in attempts:
        if tx.execute(_CRASHED, (id, attempt)).rowcount == 0:
            continue
        ((crashes,),) = tx.rows("SELECT crashes FROM task WHERE id = ?", (id,))
        if crashes >= most:
            times = "once" if crashes == 1 else f"{crashes} times"
            error = f"its worker died {times} with nothing else running; aque-retry runs it again"
            finish(tx, [End(id, attempt, states.ERROR, tx.now, error=error)])


def append_log(tx: Transaction, id: int, attempt: int, line: bytes, inline: int) -> bool:
    """Keep a line of a log, if there are no more than `inline` bytes; else it goes into the file.

    Says whether it is kept here.
    """
    ((offset, is_large),) = tx.rows(_LOGGED, (id, attempt))
    is_small = not is_large and offset + len(line) <= inline
    if not is_large:
        chunk = Chunk(id, attempt, "log", offset, tx.now, line if is_small else None)
        write_output(tx, [chunk])
    tx.rings.add(bell.OUTPUT)
    return is_small


def _requeue(tx: Transaction, id: int, attempt: int, status: str, reason: str | None) -> bool:
    """Have a task wait again, for what is retried meanwhile too; if it was killed, end it."""
    rows = tx.rows(_IS_RUNNING, (id, attempt))
    if rows and rows[0][0] is not None:
        return finish(tx, [End(id, attempt, states.CANCELLED, tx.now, error="killed")])[0]
    if rows:
        archive(tx, [id], status, reason)
        waits = (graph.recount(tx, [id]).get(id, 0), graph.failure(tx, id))
        tx.execute(_REQUEUE, (*waits, tx.next_changed(), id, attempt))
        graph.settle(tx, [id])
    return bool(rows)


def archive(tx: Transaction, ids: Sequence[int], status: str | None, reason: str | None) -> None:
    """Keep the present attempts among the earlier ones; their own status where none is given."""
    tx.execute_in(_ARCHIVE, (status, tx.now, storable(reason)), ids)


def write_output(tx: Transaction, chunks: Sequence[Chunk]) -> None:
    if chunks:
        rows = [(c.task, c.attempt, c.stream, c.offset, c.at, c.data) for c in chunks]
        tx.executemany(_OUTPUT, rows)
        tx.rings.add(bell.OUTPUT)


def _is_plain(end: End) -> bool:
    """Whether it tells of a call that returned: what claims set anew is not written again."""
    if end.status != states.SUCCESS:
        return False
    said = (end.exit_status, end.exit_signal, end.exception, end.error)
    return said == (None, None, None, None)


def _succeed(tx: Transaction, ends: Sequence[End]) -> dict[tuple[int, int], bool]:
    """Record many successes, by far the most of ends; say which were still to be."""
    if not ends:
        return {}
    changed = tx.next_changed()
    told = [
        (end.id, end.attempt, end.ended_at, end.result, end.user_time, end.system_time, end.max_rss,
         end.started_at)
        for end in ends
    ]  # fmt: skip
    count = 0
    most = _TOGETHER if len({end.id for end in ends}) == len(ends) else 1
    for some in pieces(told, most):
        values = [value for each in some for value in each]
        count += tx.execute(_success(len(some)), [changed, *values]).rowcount
    if count == len(ends):
        return dict.fromkeys(((end.id, end.attempt) for end in ends), True)
    attempts = [(end.id, end.attempt) for end in ends]
    return {one: bool(tx.rows(_HAS_SUCCEEDED, (*one, changed))) for one in attempts}


@lru_cache(maxsize=_TOGETHER)
def _success(count: int) -> str:
    """Return the statement for so many: two thirds of the time of one for each."""
    firsts = [2 + 8 * n for n in range(count)]
    told = [
        f"CASE id {' '.join(f'WHEN ?{first} THEN ?{first + n}' for first in firsts)} END"
        for n in range(1, 8)
    ]
    return _SUCCEED.format(", ".join(f"?{first}" for first in firsts), *told)


def _finish(tx: Transaction, end: End) -> bool:
    if end.is_retry:
        return _retry(tx, end)
    if end.is_given_back:
        return _give_back(tx, end)
    if not end.is_final:
        return requeue(tx, [(end.id, end.attempt)], end.error or "requeued")[0]
    assert end.status in states.COMPLETE_STATES
    values = (
        end.status, end.ended_at, end.exit_status, end.exit_signal, end.result, end.exception,
        storable(end.error), end.user_time, end.system_time, end.max_rss, end.started_at,
        tx.next_changed(), end.id, end.attempt,
    )  # fmt: skip
    return tx.execute(_FINISH, values).rowcount == 1


def _give_back(tx: Transaction, end: End) -> bool:
    """Have a task that never began wait as it did: as this very attempt, and paused if it was."""
    rows = tx.rows(_IS_RUNNING, (end.id, end.attempt))
    if rows and rows[0][0] is not None:
        return requeue(tx, [(end.id, end.attempt)], "killed")[0]
    is_paused = bool(tx.rows(_STOPPED, (end.id,)))
    if tx.execute(_GIVE_BACK, (tx.next_changed(), end.id, end.attempt)).rowcount == 0:
        return False
    if is_paused:
        tx.execute("UPDATE task SET status = 'paused' WHERE id = ?", (end.id,))
    tx.rings.add(bell.READY)
    return True


def _note_progress(tx: Transaction, said: Progress) -> None:
    values = (said.done, said.total, storable(said.message), said.id, said.attempt)
    tx.execute(_PROGRESS, values)
    tx.rings.add(bell.OUTPUT)


def _retry(tx: Transaction, end: End) -> bool:
    """Keep a failed attempt among the earlier ones, and have the task wait for its next."""
    rows = tx.rows(_IS_RUNNING, (end.id, end.attempt))
    if rows and rows[0][0] is not None:
        return finish(tx, [end._replace(status=states.CANCELLED, error="killed")])[0]
    outcome = (
        end.exit_status, end.exit_signal, end.exception, storable(end.error), end.user_time,
        end.system_time, end.max_rss, end.due_at, end.id, end.attempt,
    )  # fmt: skip
    if tx.execute(_NOTE_OUTCOME, outcome).rowcount == 0:
        return False
    return _requeue(tx, end.id, end.attempt, states.ERROR, None)


def _record_start(tx: Transaction, start: Start) -> None:
    values = (start.pid, start.pid_started, start.session, tx.now, start.id, start.attempt)
    tx.execute(_STARTED, values)
