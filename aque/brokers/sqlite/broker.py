"""Own the SQLite broker: the contract of base.py, each method one transaction."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from aque import bell, location
from aque.brokers import settings
from aque.brokers.base import (
    Ahead,
    Broker,
    Candidate,
    Changes,
    Choose,
    Claim,
    Condition,
    Edge,
    Finding,
    Limit,
    Request,
    Selection,
)
from aque.brokers.sqlite import (
    beside,
    claim,
    contents,
    create,
    expire,
    finish,
    hold,
    look,
    migrations,
    place,
    reopen,
    steer,
)
from aque.brokers.sqlite.connection import Database, Transaction, placeholders
from aque.brokers.sqlite.create import Memory
from aque.brokers.sqlite.lock import TIMEOUT
from aque.errors import BrokerError, TaskNotFoundError, UsageError
from aque.location import Location
from aque.task import (
    NOTHING,
    Chunk,
    End,
    Progress,
    Prototype,
    Report,
    Requirements,
    Task,
    WorkerRecord,
    worker_keys,
)

_WORKER_COLUMNS = ", ".join(f'"{key}"' for key in worker_keys())
#: Pages given back in one go, with the lock held; of 4 KiB each.
_SHRINK_PAGES = 1000
_BEAT = "UPDATE worker SET heartbeat = heartbeat + 1, ended_at = NULL WHERE id = ?"
_DISMISS = """
UPDATE worker SET ended_at = ? WHERE id = ?
AND NOT EXISTS (SELECT 1 FROM task WHERE status = 'running' AND worker = ?)
"""
_SET_LIMIT = """
INSERT INTO "limit" (name, capacity, task) VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET capacity = excluded.capacity
"""
_CHANGES = "SELECT id, status FROM task WHERE changed > ?"
_OUTPUT = """
SELECT task, attempt, stream, offset, at, data, number FROM output
WHERE task = ? AND attempt = ? AND number > ? ORDER BY number
"""


class SQLiteBroker(Broker):
    """A queue in one SQLite file."""

    def __init__(
        self,
        where: Location,
        *,
        durable: bool = True,
        create: bool = True,
        lock_timeout: float = TIMEOUT,
    ) -> None:
        super().__init__()
        self._database = Database(where, durable, create, lock_timeout)
        self._known: dict[int, Requirements] = {}
        self._memory = Memory()

    def to_url(self) -> str:
        return location.to_url(self._database.location)

    @property
    def directory(self) -> str:
        return self._database.location.directory

    @property
    def is_shared(self) -> bool:
        return self._database.location.is_shared

    def listen(self, *names: str) -> bell.Listener:
        poll = self.settings()["poll"]
        return bell.Listener(self.directory, names, self.is_shared, poll)

    def close(self) -> None:
        self._heard.listeners.clear()
        self._database.close()

    def is_outdated(self) -> bool:
        return migrations.is_outdated(self._database.read)

    @contextmanager
    def _write(self) -> Iterator[Transaction]:
        with self._database.write() as tx:
            yield tx
        if bell.READY in tx.rings:
            self.wake_workers()

    # Settings

    def settings(self) -> dict[str, float]:
        return {**settings.DEFAULTS, **dict(self._database.read("SELECT key, value FROM setting"))}

    def set_settings(self, values: Mapping[str, float]) -> None:
        settings.check(values)
        with self._write() as tx:
            tx.executemany("INSERT OR REPLACE INTO setting VALUES (?, ?)", list(values.items()))

    def backup(self, path: str) -> None:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise UsageError(f"cannot make {path}: {error.strerror}; name another file") from None
        self._database.copy(path)

    def examine(self) -> list[Finding]:
        return list(contents.examine(self._database))

    def repair(self) -> None:
        with self._write() as tx:
            contents.repair(tx)

    def reset(self) -> None:
        with self._write() as tx:
            files = steer.reset(tx)
        self._unlink(files)

    def limits(self) -> dict[str, Limit]:
        with self._database.snapshot():
            return claim.limits(self._database.read)

    def set_limits(self, capacities: Mapping[str, int], task: int | None = None) -> None:
        with self._write() as tx:
            tx.executemany(_SET_LIMIT, [(name, n, task) for name, n in capacities.items()])
            tx.rings.add(bell.READY)
            tx.next_changed()  # an event: what a limit held may run now

    # Putting in

    def create(self, prototypes: Sequence[Prototype]) -> list[int]:
        with self._write() as tx:
            return create.create(tx, prototypes, self._memory)

    def create_like(self, prototype: Prototype, arguments: Sequence[str]) -> list[int]:
        with self._write() as tx:
            return create.create_like(tx, prototype, arguments, self._memory)

    def commit(self, ids: Sequence[int]) -> None:
        with self._write() as tx:
            steer.commit(tx, ids)

    # Looking

    def fetch(self, ids: Sequence[int]) -> list[Task]:
        return look.fetch(self._database.read, ids)

    def search(
        self,
        conditions: Sequence[Condition] = (),
        *,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> list[Task]:
        return look.search(self._database.read, conditions, newest_first, limit)

    def select(self, selection: Selection, limit: int | None = None) -> list[Task]:
        with self._database.snapshot():
            return look.select(self._database.read, selection, limit)

    def count(self, selection: Selection) -> int:
        return look.count(self._database.read, selection)

    def existing(self, first: int, last: int) -> list[int]:
        sql = "SELECT id FROM task WHERE id BETWEEN ? AND ? ORDER BY id"
        return [row[0] for row in self._database.read(sql, (first, last))]

    def last_id(self) -> int | None:
        ((last,),) = self._database.read("SELECT max(id) FROM task WHERE parent IS NULL")
        return None if last is None else int(last)

    def statuses(self, ids: Sequence[int]) -> dict[int, str]:
        return look.statuses(self._database.read, ids)

    def results(self, ids: Sequence[int]) -> dict[int, str | None]:
        return look.results(self._database.read, ids)

    def signals(self, ids: Sequence[int]) -> dict[int, int]:
        return look.signals(self._database.read, ids)

    def changes(self, since: int | None = None) -> Changes:
        with self._database.snapshot():
            ((number,),) = self._database.read("SELECT changed FROM sequence")
            if since is None or since == number:
                return Changes(number, {}, ())
            changed: dict[int, str] = dict(self._database.read(_CHANGES, (since,)))
            removed = self._database.read("SELECT task FROM removed WHERE changed > ?", (since,))
        return Changes(number, changed, [row[0] for row in removed])

    def edges(self, ids: Sequence[int]) -> list[Edge]:
        return look.edges(self._database.read, ids, "task")

    def dependents(self, ids: Sequence[int]) -> list[Edge]:
        return look.edges(self._database.read, ids, "dependency")

    def count_children(self, ids: Sequence[int]) -> dict[int, dict[str, int]]:
        return look.count_children(self._database.read, ids)

    def children(self, parent: int, limit: int, statuses: Sequence[str] = ()) -> list[Task]:
        return look.children(self._database.read, parent, limit, statuses)

    def count_dependencies(self, ids: Sequence[int]) -> dict[int, dict[str, int]]:
        return look.count_dependencies(self._database.read, ids)

    def dependencies(self, id: int, limit: int, statuses: Sequence[str] = ()) -> list[Task]:
        return look.dependencies(self._database.read, id, limit, statuses)

    def roots(
        self, ended_since: float, limit: int | None, user: str | None
    ) -> tuple[list[Task], int]:
        with self._database.snapshot():
            return look.roots(self._database.read, ended_since, limit, user)

    def ahead(self, task: Task) -> Ahead:
        return look.ahead(self._database.read, task)

    def heads(self) -> list[tuple[Candidate, Requirements]]:
        with self._database.snapshot():
            return claim.heads(self._database.read, self._known)

    def environ(self, environment: int) -> dict[str, str]:
        sql = "SELECT content FROM environment WHERE id = ?"
        ((content,),) = self._database.read(sql, (environment,))
        environ: dict[str, str] = json.loads(content)
        return environ

    def stdin_value(self, id: int) -> bytes | None:
        rows = self._database.read("SELECT stdin_value FROM task WHERE id = ?", (id,))
        return rows[0][0] if rows else None

    # Running

    def claim(self, worker: int, choose: Choose, report: Report = NOTHING) -> Claim:
        with self._write() as tx:
            finish.record(tx, report)
            claimed = claim.claim(tx, worker, choose, self._known)
            claim.share_room(tx, len(report.ends), len(claimed.tasks))
            if claimed.tasks and not report.ends:
                tx.is_rung_later = True
        return replace(claimed, rings=frozenset(tx.rings)) if tx.is_rung_later else claimed

    def finish(self, ends: Sequence[End]) -> list[bool]:
        return self.record(Report(ends=ends))

    def record(self, report: Report) -> list[bool]:
        with self._write() as tx:
            answers = finish.record(tx, report)
            claim.share_room(tx, len(report.ends), 0)
            return answers

    def report_progress(self, progress: Progress) -> None:
        self.record(Report(progress=[progress]))

    def requeue(
        self, attempts: Sequence[tuple[int, int]], reason: str, is_crash: bool = False
    ) -> list[bool]:
        most = int(self.settings()["crashes"])
        with self._write() as tx:
            if is_crash:
                finish.count_crashes(tx, attempts, most)
            return finish.requeue(tx, attempts, reason)

    def running(self, worker: int) -> list[Task]:
        sql = "SELECT id FROM task WHERE status = 'running' AND worker = ?"
        with self._database.snapshot():
            return self.fetch([row[0] for row in self._database.read(sql, (worker,))])

    # Steering

    def cancel(self, ids: Sequence[int], signal: int, grace: float) -> None:
        with self._write() as tx:
            steer.cancel(tx, ids, signal, grace)

    def cancel_waiting(self, ids: Sequence[int]) -> None:
        with self._write() as tx:
            steer.cancel_waiting(tx, ids)

    def pause(self, ids: Sequence[int]) -> list[int]:
        with self._write() as tx:
            return hold.pause(tx, ids)

    def resume(self, ids: Sequence[int]) -> list[int]:
        with self._write() as tx:
            return hold.resume(tx, ids)

    def signal(self, ids: Sequence[int], signal: int) -> list[int]:
        with self._write() as tx:
            return steer.signal(tx, ids, signal)

    def requests(self, worker: int) -> list[Request]:
        wanted = [Request(*row) for row in self._database.read(steer.CANCELLING, (worker,))]
        if self._database.read(steer.SIGNALS, (worker,)):
            with self._write() as tx:
                wanted += steer.take_signals(tx, worker)
        return wanted

    def retry(self, ids: Sequence[int]) -> None:
        with self._write() as tx:
            _refuse_missing(tx, ids)
            steer.retry(tx, ids)

    def reopen(self, group: int, worker: int) -> None:
        with self._write() as tx:
            _refuse_missing(tx, [group])
            reopen.reopen(tx, group, worker)

    def remove(self, ids: Sequence[int]) -> None:
        with self._write() as tx:
            _refuse_missing(tx, ids)
            files = steer.remove(tx, ids)
        self._unlink(files)

    def expire(self) -> bool:
        files = expire.expire(self._database, self.settings(), time.time())
        self._unlink(files or ())
        return files is not None

    def shrink(self) -> bool:
        return self._database.shrink(_SHRINK_PAGES)

    def _unlink(self, files: Sequence[tuple[int, int, str]]) -> None:
        for id, attempt, stream in files:
            try:
                os.unlink(self.output_path(id, attempt, stream))
            except FileNotFoundError:
                pass

    # Output

    def output(self, id: int, attempt: int, after: int = 0) -> list[Chunk]:
        return [Chunk(*row) for row in self._database.read(_OUTPUT, (id, attempt, after))]

    def append_log(self, id: int, attempt: int, line: bytes) -> None:
        inline = int(self.settings()["output-inline"])
        with self._write() as tx:
            if finish.append_log(tx, id, attempt, line, inline):
                return
            descriptor = self.open_output(id, attempt, "log")
            os.write(descriptor, line)
            os.close(descriptor)

    def last_output(self, ids: Sequence[int]) -> dict[int, int]:
        return look.last_output(self._database.read, ids)

    def output_path(self, id: int, attempt: int, stream: str) -> str:
        directory = os.path.join(self.directory, "output")
        return os.path.join(directory, f"{int(id)}-{int(attempt)}-{stream}")

    def open_output(self, id: int, attempt: int, stream: str) -> int:
        """Open the file of a stream too large for the queue, for appending."""
        path = self.output_path(id, attempt, stream)
        queue = self._database.location.path
        for directory in (self.directory, os.path.dirname(path)):  # somebody may have deleted it
            beside.make_directory(directory, queue)
        return beside.open_file(path, queue, os.O_WRONLY | os.O_APPEND)

    # Workers

    def make_life(self, token: str) -> int:
        path = self.life_path(token)
        try:
            for directory in (self.directory, os.path.dirname(path)):
                beside.make_directory(directory, self._database.location.path)
            return beside.create_file(path, self._database.location.path)
        except OSError as error:
            raise BrokerError(
                f"cannot make {path}: {error.strerror}; see to {self.directory}, then try again"
            ) from error

    def life_path(self, token: str) -> str:
        return os.path.join(self.directory, "workers", os.path.basename(token))

    def enlist(self, record: WorkerRecord) -> int:
        if os.geteuid() == 0:
            place.refuse_root_worker(self._database.location.path)
        values = [getattr(record, key) for key in worker_keys()]
        with self._write() as tx:
            insert = f"INSERT INTO worker ({_WORKER_COLUMNS}) VALUES ({placeholders(values)})"
            return int(tx.execute(insert, [None, *values[1:]]).lastrowid or 0)

    def beat(self, worker: int) -> bool:
        with self._write() as tx:
            ended = tx.rows("SELECT ended_at FROM worker WHERE id = ?", (worker,))
            tx.execute(_BEAT, (worker,))
        if not ended:
            raise BrokerError(f"the queue has forgotten worker {worker}; start it again")
        return ended[0][0] is None

    def dismiss(self, worker: int) -> bool:
        with self._write() as tx:
            return tx.execute(_DISMISS, (tx.now, worker, worker)).rowcount == 1

    def workers(self, ids: Iterable[int] | None = None) -> list[WorkerRecord]:
        values: list[Any] = []
        where = "WHERE ended_at IS NULL"
        if ids is not None:
            values = list(ids)
            where = f"WHERE id IN ({placeholders(values)})"
        sql = f"SELECT {_WORKER_COLUMNS} FROM worker {where} ORDER BY id"
        return [WorkerRecord(*row) for row in self._database.read(sql, values)]

    def owned(self, worker: int) -> list[int]:
        where = "status IN ('creating', 'paused') AND status = 'creating'"  # as the index has it
        sql = f"SELECT id FROM task WHERE {where} AND owner = ?"
        return [row[0] for row in self._database.read(sql, (worker,))]


def _refuse_missing(tx: Transaction, ids: Sequence[int]) -> None:
    for id in ids:
        if not tx.rows("SELECT 1 FROM task WHERE id = ?", (id,)):
            raise TaskNotFoundError(f"there is no task {id}")
