"""Own the SQLite broker: the contract of `base`, each method one transaction."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from aque import bell
from aque.brokers import settings, sqlite
from aque.brokers.claims import Choose, Claim, Limit
from aque.brokers.questions import Finding, Request
from aque.brokers.sqlite.connection import Database
from aque.brokers.sqlite.lock import TIMEOUT
from aque.brokers.sqlite.looker import SQLiteLooker
from aque.brokers.sqlite.shared import Memory
from aque.brokers.sqlite.transaction import Transaction
from aque.errors import FullError, TaskNotFoundError, UnwritableError, UsageError
from aque.location import Location
from aque.prototype import Prototype
from aque.record import replace
from aque.report import NOTHING, End, Progress, Report, WorkerRecord
from aque.task import Task

if TYPE_CHECKING:
    from aque.listening import Listener

#: Pages given back in one go, with the lock held; of 4 KiB each.
_SHRINK_PAGES = 1000
_SET_LIMIT = """
INSERT INTO "limit" (name, capacity, task) VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET capacity = excluded.capacity
"""


class SQLiteBroker(SQLiteLooker):
    """A queue in one SQLite file."""

    def __init__(
        self,
        where: Location,
        *,
        durable: bool = True,
        create: bool = True,
        lock_timeout: float = TIMEOUT,
    ) -> None:
        self._open = partial(Database, where, durable, create, lock_timeout)
        try:
            super().__init__(self._open())
        except (FullError, UnwritableError) as error:
            if create:
                raise
            super().__init__(sqlite.glance.instead(where, error))
        self._memory = Memory()

    def listen(self, *names: str) -> Listener:
        from aque.listening import Listener

        poll = self.settings()["poll"]
        return Listener(self.directory, names, self.is_shared, poll)

    def close(self) -> None:
        self._heard.listeners.clear()
        self._database.close()

    def _to_write(self) -> Database:
        """Return the queue to write to. What could only be looked at is opened anew, or refused."""
        if not isinstance(self._database, Database):
            self._database = self._open()
        return self._database

    @contextmanager
    def _write(self) -> Iterator[Transaction]:
        with self._to_write().write() as tx:
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
        return list(sqlite.contents.examine(self._database))

    def repair(self) -> None:
        with self._write() as tx:
            sqlite.contents.repair(tx)

    def reset(self) -> None:
        with self._write() as tx:
            outputs = sqlite.steer.reset(tx)
        self._unlink(outputs)

    def limits(self) -> dict[str, Limit]:
        with self._database.snapshot():
            return sqlite.claim.limits(self._database.read)

    def set_limits(self, capacities: Mapping[str, int], task: int | None = None) -> None:
        with self._write() as tx:
            tx.executemany(_SET_LIMIT, [(name, n, task) for name, n in capacities.items()])
            tx.rings.add(bell.READY)
            tx.next_changed()  # an event: what a limit held may run now

    # Putting in

    def create(self, prototypes: Sequence[Prototype]) -> list[int]:
        with self._write() as tx:
            return sqlite.create.create(tx, prototypes, self._memory)

    def create_like(self, prototype: Prototype, arguments: Sequence[str]) -> list[int]:
        with self._write() as tx:
            return sqlite.create.create_like(tx, prototype, arguments, self._memory)

    def commit(self, ids: Sequence[int]) -> None:
        with self._write() as tx:
            sqlite.steer.commit(tx, ids)

    # Running

    def claim(self, worker: int, choose: Choose, report: Report = NOTHING) -> Claim:
        with self._write() as tx:
            sqlite.finish.record(tx, report)
            claimed = sqlite.claim.claim(tx, worker, choose, self._known)
            sqlite.claim.share_room(tx, len(report.ends), len(claimed.tasks))
            if claimed.tasks and not report.ends:
                tx.is_rung_later = True
        return replace(claimed, rings=frozenset(tx.rings)) if tx.is_rung_later else claimed

    def finish(self, ends: Sequence[End]) -> list[bool]:
        return self.record(Report(ends=ends))

    def record(self, report: Report) -> list[bool]:
        with self._write() as tx:
            answers = sqlite.finish.record(tx, report)
            sqlite.claim.share_room(tx, len(report.ends), len(report.begun))
            return answers

    def report_progress(self, progress: Progress) -> None:
        self.record(Report(progress=[progress]))

    def requeue(
        self, attempts: Sequence[tuple[int, int]], reason: str, is_crash: bool = False
    ) -> list[bool]:
        most = int(self.settings()["crashes"])
        with self._write() as tx:
            if is_crash:
                sqlite.finish.count_crashes(tx, attempts, most)
            return sqlite.finish.requeue(tx, attempts, reason)

    def running(self, worker: int) -> list[Task]:
        sql = "SELECT id FROM task WHERE status = 'running' AND worker = ?"
        with self._database.snapshot():
            return self.fetch([row[0] for row in self._database.read(sql, (worker,))])

    # Steering

    def cancel(self, ids: Sequence[int], signal: int, grace: float) -> None:
        with self._write() as tx:
            sqlite.steer.cancel(tx, ids, signal, grace)

    def cancel_waiting(self, ids: Sequence[int]) -> None:
        with self._write() as tx:
            sqlite.steer.cancel_waiting(tx, ids)

    def pause(self, ids: Sequence[int]) -> list[int]:
        with self._write() as tx:
            return sqlite.hold.pause(tx, ids)

    def resume(self, ids: Sequence[int]) -> list[int]:
        with self._write() as tx:
            return sqlite.hold.resume(tx, ids)

    def prioritize(self, ids: Sequence[int], priority: int) -> list[int]:
        with self._write() as tx:
            return sqlite.hold.prioritize(tx, ids, priority)

    def signal(self, ids: Sequence[int], signal: int) -> list[int]:
        with self._write() as tx:
            return sqlite.steer.signal(tx, ids, signal)

    def writes_elsewhere(self) -> int:
        return self._to_write().writes_elsewhere()

    def requests(self, worker: int) -> list[Request]:
        wanted = [Request(*row) for row in self._database.read(sqlite.steer.CANCELLING, (worker,))]
        if self._database.read(sqlite.steer.SIGNALS, (worker,)):
            with self._write() as tx:
                wanted += sqlite.steer.take_signals(tx, worker)
        return wanted

    def retry(self, ids: Sequence[int]) -> None:
        with self._write() as tx:
            _refuse_missing(tx, ids)
            sqlite.steer.retry(tx, ids)

    def reopen(self, group: int, model: Prototype) -> None:
        with self._write() as tx:
            _refuse_missing(tx, [group])
            sqlite.reopen.reopen(tx, group, model)

    def remove(self, ids: Sequence[int]) -> None:
        with self._write() as tx:
            _refuse_missing(tx, ids)
            outputs = sqlite.steer.remove(tx, ids)
        self._unlink(outputs)

    def expire(self) -> bool:
        outputs = sqlite.expire.expire(self._to_write(), self.settings(), time.time())
        self._unlink(outputs or ())
        return outputs is not None

    def shrink(self) -> bool:
        return self._to_write().shrink(_SHRINK_PAGES)

    def _unlink(self, outputs: Sequence[tuple[int, int, str]]) -> None:
        for id, attempt, stream in outputs:
            try:
                os.unlink(self.output_path(id, attempt, stream))
            except FileNotFoundError:
                pass

    # Output

    def append_log(self, id: int, attempt: int, line: bytes) -> None:
        inline = int(self.settings()["output-inline"])
        with self._write() as tx:
            if sqlite.finish.append_log(tx, id, attempt, line, inline):
                return
            with open(self.open_output(id, attempt, "log"), "ab") as file:
                file.write(line)

    def output_path(self, id: int, attempt: int, stream: str) -> str:
        return sqlite.files.output_path(self.directory, id, attempt, stream)

    def open_output(self, id: int, attempt: int, stream: str) -> int:
        path = self.output_path(id, attempt, stream)
        return sqlite.files.open_to_append(path, self._database.location)

    # Workers

    def make_life(self, token: str) -> int:
        return sqlite.files.make_life(self.life_path(token), self._database.location)

    def life_path(self, token: str) -> str:
        return sqlite.files.life_path(self.directory, token)

    def enlist(self, record: WorkerRecord) -> int:
        sqlite.load()
        if os.geteuid() == 0:
            sqlite.place.refuse_root_worker(self._database.location.path)
        with self._write() as tx:
            return sqlite.roster.enlist(tx, record)

    def beat(self, worker: int | None) -> bool:
        with self._write() as tx:
            return sqlite.roster.beat(tx, worker)

    def drain(self, worker: int) -> None:
        with self._write() as tx:
            sqlite.roster.drain(tx, worker)

    def change_slots(self, worker: int, slots: int) -> None:
        with self._write() as tx:
            sqlite.roster.change_slots(tx, worker, slots)

    def dismiss(self, worker: int) -> bool:
        with self._write() as tx:
            return sqlite.roster.dismiss(tx, worker)

    def workers(self, ids: Iterable[int] | None = None) -> list[WorkerRecord]:
        return sqlite.roster.workers(self._database.read, ids)

    def owned(self, worker: int) -> list[int]:
        return sqlite.roster.owned(self._database.read, worker)


def _refuse_missing(tx: Transaction, ids: Sequence[int]) -> None:
    there = {id for (id,) in tx.rows_in("SELECT id FROM task WHERE id IN ({})", ids)}
    for id in ids:
        if id not in there:
            raise TaskNotFoundError(f"there is no task {id}")
