"""What is SQLite's own: the schema, the statements, the file, its lock and its place."""

from __future__ import annotations

import gc
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support import (
    child,
    claim,
    end,
    enlist,
    eventually,
    group,
    prototype,
    python,
    requirements,
    run,
    started_python,
    take,
)

import aque
from aque import brokers, location, states
from aque.brokers.base import Broker
from aque.brokers.sqlite import claim as claiming
from aque.brokers.sqlite import insert, latest
from aque.brokers.sqlite.broker import SQLiteBroker
from aque.brokers.sqlite.lock import TIMEOUT
from aque.errors import AqueError, BrokerError, FullError, LockTimeoutError, TrustError
from aque.prototype import Earlier

BROKERS = Path(aque.__file__).parent / "brokers"
SCHEMA = BROKERS / "schema" / "sqlite" / "001_queue.sql"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "queue.db")


@pytest.fixture
def broker(path: str) -> Iterator[Broker]:
    opened = brokers.from_url(path, durable=False)
    yield opened
    opened.close()


@pytest.fixture
def connection(broker: Broker, path: str) -> Iterator[sqlite3.Connection]:
    """A connection of somebody else to the queue of the test, past aque."""
    with closing(sqlite3.connect(path, isolation_level=None)) as opened:
        yield opened


def open_queue(path: str, **options: object) -> SQLiteBroker:
    return SQLiteBroker(location.find(path), **options)  # type: ignore[arg-type]


# The schema


@pytest.mark.parametrize("start", states.STATES)
@pytest.mark.parametrize("to", [*states.STATES, "done"])
def test_the_schema_itself_refuses_every_other_transition(
    broker: Broker, worker: int, connection: sqlite3.Connection, start: str, to: str
) -> None:
    (id,) = broker.create(
        [prototype(status=start if start in states.INITIAL_STATES else "pending")]
    )
    if start == states.RUNNING:
        claim(broker, worker)
    elif start not in states.INITIAL_STATES:
        run(broker, worker, id, start)
    ended_at = 1.0 if to in states.COMPLETE_STATES else None
    change = "UPDATE task SET status = ?, ended_at = ?, worker = ? WHERE id = ?"
    if start == to:  # no transition: the trigger's rule is only of what changes
        return
    if (start, to) in states.TRANSITIONS:
        connection.execute(change, (to, ended_at, worker, id))
    else:
        with pytest.raises(sqlite3.IntegrityError, match="forbidden transition"):
            connection.execute(change, (to, ended_at, worker, id))


@pytest.mark.parametrize("status", [*states.STATES, "done"])
def test_the_schema_refuses_tasks_that_begin_in_the_middle(
    broker: Broker, connection: sqlite3.Connection, status: str
) -> None:
    broker.create([prototype()])
    insert = (
        "INSERT INTO task (status, priority, requirements, changed, created_at, ended_at, worker,"
        " pattern) SELECT ?, 0, requirements, 0, 0, ?, 1, 'generic' FROM task"
    )
    ended_at = 1.0 if status in states.COMPLETE_STATES else None
    if status in states.INITIAL_STATES:
        connection.execute(insert, (status, ended_at))
    else:
        with pytest.raises(sqlite3.IntegrityError, match="cannot begin"):
            connection.execute(insert, (status, ended_at))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE task SET waiting = -1",
        "UPDATE task SET ended_at = 1",
        "UPDATE task SET status = 'running'",
        "UPDATE task SET status = 'running', worker = 1, waiting = 1",
        "UPDATE task SET status = 'success', ended_at = 1, waiting = 2",
        "UPDATE task SET status = 'running', worker = 1, pattern = NULL",
        "UPDATE task SET attempt = -1",
        "UPDATE task SET timeout = 0",
        "INSERT INTO dependency VALUES (1, 1, 'after')",
        "INSERT INTO dependency VALUES (1, 2, 'before')",
        "UPDATE uses SET count = -1",
        "INSERT INTO sequence VALUES (2, 0, 0)",
    ],
)
def test_the_schema_keeps_its_invariants_from_every_writer(
    broker: Broker, worker: int, connection: sqlite3.Connection, change: str
) -> None:
    broker.create([prototype(environ={"A": "1"})])
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(change)


def test_the_file_says_what_it_is(broker: Broker, connection: sqlite3.Connection) -> None:
    def pragma(name: str) -> object:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    assert pragma("application_id") == 0x61717565
    assert pragma("user_version") == 1
    assert pragma("auto_vacuum") == 2
    assert pragma("journal_mode") == location.find(broker.to_url()).journal
    assert pragma("integrity_check") == "ok"


# The statements


NEWER = {
    "RETURNING (3.35)": r"\bRETURNING\b",
    "STRICT (3.37)": r"\)\s*STRICT\b|,\s*STRICT\b",
    "UPDATE FROM (3.33)": r"\bUPDATE\s+\w+\s+SET\b(?:(?!\bWHERE\b|\bSELECT\b|;|\"\"\").)*\bFROM\b",
    "DROP COLUMN (3.35)": r"\bDROP\s+COLUMN\b",
    "iif (3.32)": r"\biif\s*\(",
    "-> (3.38)": r"'\s*->|\w\s+->>?\s*'",
    "generated columns (3.31)": r"\bGENERATED\s+ALWAYS\b|\bAS\s*\([^)]*\)\s*(STORED|VIRTUAL)\b",
    "NULLS FIRST (3.30)": r"\bNULLS\s+(FIRST|LAST)\b",
    "MATERIALIZED (3.35)": r"\bMATERIALIZED\b",
    "FILTER of an aggregate (3.30)": r"\bFILTER\s*\(\s*WHERE\b",
    "json functions (built in since 3.38)": r"\bjson_\w+\s*\(",
    "unixepoch (3.38)": r"\bunixepoch\s*\(",
    "string_agg, concat (3.44)": r"\b(string_agg|concat|concat_ws)\s*\(",
    "IS DISTINCT FROM (3.39)": r"\bIS\s+(NOT\s+)?DISTINCT\s+FROM\b",
    "RIGHT and FULL JOIN (3.39)": r"\b(RIGHT|FULL)\s+(OUTER\s+)?JOIN\b",
    "math functions (3.35)": r"\b(ceil|floor|pow|sqrt|ln|log2|mod)\s*\(.*\bFROM\b",
}


def statements() -> Iterator[tuple[str, str]]:
    """Yield the SQL of the broker: its schema, and every string of its modules that looks so."""
    import ast

    for file in sorted(BROKERS.rglob("*.sql")):
        yield file.name, re.sub(r"--.*", "", file.read_text(encoding="utf-8"))
    for file in sorted((BROKERS / "sqlite").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            text = None
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            elif isinstance(node, ast.JoinedStr):
                parts = [v.value if isinstance(v, ast.Constant) else "x" for v in node.values]
                text = "".join(map(str, parts))
            if text and re.match(
                r"\s*(SELECT|UPDATE|INSERT|DELETE|WITH|WHERE|PRAGMA|FROM|AND)\b", text
            ):
                yield file.name, text


@pytest.mark.parametrize("name", NEWER)
def test_no_statement_needs_a_sqlite_newer_than_3_26(name: str) -> None:
    for file, sql in statements():
        assert not re.search(NEWER[name], sql, re.IGNORECASE | re.DOTALL), f"{file}: {sql}"


def test_the_scan_for_newer_syntax_finds_it() -> None:
    found = "\n".join(sql for _, sql in statements())
    assert "UPDATE task SET status = 'running'" in found
    for name, newer in (
        ("UPDATE FROM (3.33)", "UPDATE a SET b = c.d FROM c WHERE a.e = c.e"),
        ("RETURNING (3.35)", "DELETE FROM a RETURNING b"),
        ("STRICT (3.37)", "CREATE TABLE a (b INT) STRICT;"),
        ("-> (3.38)", "SELECT a -> 'b' FROM c"),
    ):
        assert re.search(NEWER[name], newer, re.IGNORECASE)


def traced(broker: Broker, act: Callable[[], object]) -> list[str]:
    """Return the statements that an act of the broker makes its connections run."""
    made: list[str] = []
    thread = broker._database._thread()  # type: ignore[attr-defined]
    for connection in (thread.writer, thread.reader):
        connection.set_trace_callback(made.append)
    act()
    for connection in (thread.writer, thread.reader):
        connection.set_trace_callback(None)
    return [sql for sql in made if re.match(r"\s*(SELECT|UPDATE|INSERT|DELETE|WITH)", sql)]


def plan(connection: sqlite3.Connection, sql: str) -> str:
    return "\n".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}"))


@pytest.fixture
def busy(broker: Broker, worker: int) -> Broker:
    """A queue with something of everything in it, and a reader that is open."""
    _, *ids = broker.create(
        [group(status=states.CREATING), *[child(Earlier(0)) for _ in range(300)]]
    )
    broker.create([prototype(requirements=requirements(cpus=2), after=(ids[0],)) for _ in range(9)])
    broker.create([prototype(due_at=4e9)])
    for task in claim(broker, worker, 100)[:50]:
        broker.finish([end(task)])
    assert broker.last_id() is not None
    return broker


def test_the_hot_path_never_walks_through_a_table(
    busy: Broker, worker: int, connection: sqlite3.Connection
) -> None:
    def hot() -> None:
        tasks = busy.claim(worker, take(3)).tasks
        busy.finish([end(tasks[0])])
        busy.finish([end(tasks[1], states.ERROR)])
        busy.requeue([(tasks[2].id, tasks[2].attempt)], "again")
        busy.requests(worker)
        busy.changes(busy.changes().number - 3)
        busy.running(worker)
        busy.owned(worker)
        busy.existing(1, 5)
        busy.statuses([1, 2, 3])
        busy.output(1, 1)
        busy.last_id()

    for sql in traced(busy, hot):
        for line in plan(connection, sql).splitlines():
            allowed = r"CONSTANT ROW|sequence|setting|SCAN kind|SCAN \(subquery|SUBQUERY"
            walks = line.startswith("SCAN") and not re.search(allowed, line)
            assert not walks or "COVERING INDEX task_due" in line, f"{line}\n{sql}"


@pytest.mark.parametrize(
    ("name", "values", "index"),
    [
        ("_KINDS", (), "task_ready"),
        ("_HEADS", (1, 5), "task_ready"),
        ("_DUE", (1.0,), "task_due"),
        ("_NEXT_DUE", (), "task_due"),
        ("_USED", (1,), "task_running"),
    ],
)
def test_a_claim_uses_the_index_that_was_made_for_it(
    busy: Broker, connection: sqlite3.Connection, name: str, values: tuple[object, ...], index: str
) -> None:
    sql = getattr(claiming, name)
    rows = connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()
    used = "\n".join(row[3] for row in rows)
    assert f"INDEX {index}" in used, used
    assert "TEMP B-TREE" not in used


# What many tasks share, and earlier attempts


def test_of_each_column_it_is_said_how_long_it_tells_of_an_attempt(
    broker: Broker, connection: sqlite3.Connection
) -> None:
    columns = {row[1] for row in connection.execute("PRAGMA table_info(task)")}
    of_attempt = {*latest.PROCESS, *latest.OUTCOME, *latest.REST}
    assert columns == of_attempt | {*insert.COLUMNS, "attempt", "retried", "crashes"}


def attempts(connection: sqlite3.Connection, id: int) -> list[tuple[int, str, object]]:
    query = "SELECT attempt, status, exit_status FROM attempt WHERE task = ? ORDER BY attempt"
    return connection.execute(query, (id,)).fetchall()


def test_earlier_attempts_are_kept(
    broker: Broker, worker: int, connection: sqlite3.Connection
) -> None:
    (id,) = broker.create([prototype()])
    (task,) = claim(broker, worker)
    broker.requeue([(id, task.attempt)], "its worker died")
    run(broker, worker, id, states.ERROR, exit_status=3)
    broker.retry([id])
    assert attempts(connection, id) == [(1, "requeued", None), (2, "error", 3)]


def test_an_end_without_a_run_does_not_replace_the_attempt_before(
    broker: Broker, worker: int, connection: sqlite3.Connection
) -> None:
    (a,) = broker.create([prototype()])
    (b,) = broker.create([prototype(after=(a,))])
    run(broker, worker, a)
    run(broker, worker, b, states.ERROR, exit_status=3)
    broker.retry([a, b])
    broker.cancel([b], 15, 1.0)
    broker.retry([b])
    run(broker, worker, a, states.ERROR)
    broker.retry([a, b])
    assert attempts(connection, b) == [(1, "error", 3)]


def test_rows_go_with_the_task_they_belong_to(
    broker: Broker, worker: int, connection: sqlite3.Connection
) -> None:
    (a,) = broker.create([prototype(environ={"A": "1"})])
    (b,) = broker.create([prototype(after=(a,))])
    claim(broker, worker)
    broker.signal([a], 10)
    broker.requeue([(a, 1)], "again")
    run(broker, worker, a)
    run(broker, worker, b)
    broker.remove([a, b])
    for table in "task dependency attempt signal output environment requirements".split():
        assert connection.execute(f"SELECT * FROM {table}").fetchall() == [], table


# The lock


HOLD = """
import sys
from aque.brokers.sqlite.lock import WriteLock
with WriteLock(sys.argv[1]).held():
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_who_waits_too_long_for_the_lock_is_told_who_holds_it(broker: Broker, path: str) -> None:
    impatient = open_queue(path, lock_timeout=0.05)
    with started_python(HOLD, path, stdin=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LockTimeoutError, match=f"process {holder.pid} on ") as caught:
            impatient.create([prototype()])
        assert path in str(caught.value)
        holder.stdin.write(b"\n")
        holder.stdin.flush()
        assert eventually(lambda: _created(impatient)) == [1]
    impatient.close()


def _created(broker: Broker) -> list[int]:
    try:
        return broker.create([prototype()])
    except LockTimeoutError:
        return []


def test_the_lock_goes_with_the_process_that_held_it(broker: Broker, path: str) -> None:
    with started_python(HOLD, path, stdin=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
        holder.wait()
        assert len(broker.create([prototype()])) == 1


def test_a_lock_file_deleted_under_its_users_is_noticed(broker: Broker, path: str) -> None:
    impatient = open_queue(path, lock_timeout=0.05)
    impatient.create([prototype()])
    os.unlink(path + "-lock")
    with started_python(HOLD, path, stdin=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LockTimeoutError, match=f"process {holder.pid} "):
            impatient.create([prototype()])
    impatient.close()


def test_one_queue_under_two_names_has_one_lock(broker: Broker, tmp_path: Path, path: str) -> None:
    (tmp_path / "link.db").symlink_to("queue.db")
    impatient = open_queue(str(tmp_path / "link.db"), lock_timeout=0.05)
    with started_python(HOLD, path, stdin=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LockTimeoutError):
            impatient.create([prototype()])
    impatient.close()


def test_a_broker_that_is_collected_in_a_transaction_does_not_wait_for_it(
    broker: Broker, path: str
) -> None:
    another = open_queue(path)
    another.itself = another  # type: ignore[attr-defined]
    del another
    began = time.monotonic()
    broker.claim(enlist(broker), lambda offer: [gc.collect()][1:])
    assert time.monotonic() - began < TIMEOUT / 2


def test_the_stops_of_a_terminal_wait_until_the_transaction_is_over(broker: Broker) -> None:
    seen: list[set[int]] = []

    def choose(offer: object) -> list[int]:
        seen.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
        return []

    broker.claim(enlist(broker), choose)
    assert seen[0] >= {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {signal.SIGTSTP}


def test_a_fork_inside_a_transaction_can_look_but_not_write(path: str) -> None:
    broker = open_queue(path, lock_timeout=0.05)
    broker.create([prototype()])
    worker = enlist(broker)
    parent = os.getpid()

    def choose(offer: object) -> list[int]:
        child = os.fork()
        if child == 0:
            try:
                broker.create([prototype()])
            except LockTimeoutError as error:
                os._exit(0 if f"process {parent} " in str(error) else 2)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        return take(1)(offer)  # type: ignore[arg-type,return-value]

    assert len(broker.claim(worker, choose).tasks) == 1
    assert len(broker.search()) == 1
    broker.close()


# The place


def refused(path: str | Path, kind: type[AqueError] = BrokerError, **options: object) -> str:
    """Return the message with which a queue is refused; one line that names it."""
    with pytest.raises(kind) as caught:
        open_queue(str(path), **options)
    assert type(caught.value) is kind
    assert kind.exit_status == 3
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message or os.path.dirname(path) in message
    assert re.search(r"--broker|upgrade|move it away|try again|makes one", message), message
    return message


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: str) -> None:
    Path(path).write_text("a letter to my mother\n" * 100)
    assert "not an aque queue" in refused(path)
    assert Path(path).read_text() == "a letter to my mother\n" * 100


def test_another_database_is_refused_and_left_as_it_is(path: str) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE letter (text)")
        other.commit()
    before = Path(path).read_bytes()
    assert "not an aque queue" in refused(path)
    assert Path(path).read_bytes() == before


def test_a_database_cut_short_is_refused(broker: Broker, path: str) -> None:
    broker.create([prototype() for _ in range(500)])
    broker.close()
    os.truncate(path, 5000)
    with pytest.raises(BrokerError, match=re.escape(path)):
        open_queue(path).create([prototype()])


def test_a_queue_of_a_version_to_come_is_refused(broker: Broker, path: str) -> None:
    broker.close()
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")
    assert "version 99" in refused(path)


@pytest.mark.parametrize(
    "change", ["DROP TABLE uses", "ALTER TABLE sequence RENAME COLUMN task TO latest"]
)
def test_a_queue_of_an_unfinished_version_is_told_from_a_broken_one(
    broker: Broker, path: str, change: str
) -> None:
    broker.close()
    with closing(sqlite3.connect(path)) as older:
        older.execute(change)
    with pytest.raises(BrokerError, match=r"unfinished version of aque.*move it away"):
        broker.create([prototype()])


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert "is a directory" in refused(tmp_path)


def test_what_is_neither_file_nor_directory_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert "not a regular file" in refused(tmp_path / "fifo")
    refused("/dev/null")
    assert not os.path.exists("/dev/null-lock")


def test_a_file_used_as_a_directory_is_refused(path: str) -> None:
    Path(path).touch()
    refused(path + "/queue.db")


def test_no_queue_is_made_where_one_was_only_looked_for(tmp_path: Path) -> None:
    missing = tmp_path / "no" / "queue.db"
    for create in (False, True):
        assert f"no directory {tmp_path}/no " in refused(missing, create=create)
        assert not (tmp_path / "no").exists()
    assert "there is no queue" in refused(tmp_path / "queue.db", create=False)
    assert list(tmp_path.rglob("queue*")) == []


def test_an_empty_file_becomes_a_queue(path: str) -> None:
    Path(path).touch()
    broker = open_queue(path)
    assert broker.create([prototype()]) == [1]
    broker.close()


def test_a_lock_file_that_is_none_is_refused(tmp_path: Path, path: str) -> None:
    os.mkfifo(path + "-lock")
    assert path + "-lock" in refused(path)
    os.unlink(path + "-lock")
    (tmp_path / "precious").write_text("precious")
    os.symlink(tmp_path / "precious", path + "-lock")
    with pytest.raises(BrokerError):
        open_queue(path)
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_queue_is_private_whatever_the_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "new"))
    before = os.umask(0)
    try:
        broker = open_queue(location.default_path())  # alone has its directory made
        broker.create([prototype()])
        broker.listen("ready").close()
        made = list((tmp_path / "new").rglob("*"))
        modes = {str(path.name): stat.S_IMODE(path.stat().st_mode) for path in made}
        broker.close()
    finally:
        os.umask(before)
    assert {name for name in modes if "queue" in name} >= {
        "queue.db",
        "queue.db-lock",
        "queue.db.d",
    }
    assert not {name: oct(mode) for name, mode in modes.items() if mode & 0o077}


def test_a_queue_behind_a_dangling_link_is_private_too(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "there.db")
    broker = open_queue(str(tmp_path / "link.db"))
    assert stat.S_IMODE((tmp_path / "there.db").stat().st_mode) == 0o600
    broker.close()


def test_a_queue_with_odd_names_is_found_again(tmp_path: Path) -> None:
    for name in ("a b?c#d%20.db", "caf\udce9.db", "'; --.db", "?mode=ro", "é\n.db"):
        broker = open_queue(str(tmp_path / name))
        broker.create([prototype()])
        again = brokers.from_url(broker.to_url(), create=False)
        assert again.last_id() == 1
        broker.close()
        again.close()
        assert os.path.exists(os.fsencode(tmp_path / name))


# Other users, other mounts

OPEN = """
import sys
from aque import brokers
from aque.errors import AqueError
try:
    broker = brokers.from_url(sys.argv[1])
    print("opened", broker.last_id())
except AqueError as error:
    print(type(error).__name__, error)
"""


def as_nobody(code: str, *arguments: str) -> str:
    """Run a program as another user, and return what it says; skip where that cannot be."""
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    words = ["/usr/bin/python3", "-c", code, *arguments]
    source = str(Path(aque.__file__).parent.parent)
    for python3 in (sys.executable, "/usr/bin/python3"):
        done = subprocess.run(
            [python3, *words[1:]], user=65534, group=65534, extra_groups=[], cwd="/",
            env={"PYTHONPATH": source, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True, text=True, check=False,
        ) if _may_run(python3, source) else None  # fmt: skip
        if done is not None:
            assert done.returncode == 0, done.stderr
            return done.stdout
    pytest.skip("another user can run no Python of 3.11 with aque here")


def _may_run(python3: str, source: str) -> bool:
    code = "import sys, aque.brokers.sqlite.broker; sys.exit(sys.version_info < (3, 11))"
    try:
        done = subprocess.run(
            [python3, "-c", code], user=65534, group=65534, extra_groups=[], cwd="/",
            env={"PYTHONPATH": source, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True, check=False,
        )  # fmt: skip
    except OSError:
        return False
    return done.returncode == 0


@pytest.fixture
def open_path(tmp_path: Path) -> Iterator[Path]:
    """A directory that other users can reach."""
    import shutil
    import tempfile

    directory = Path(tempfile.mkdtemp(dir="/tmp", prefix="aque-tests-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def test_somebody_elses_queue_is_refused(open_path: Path) -> None:
    path = str(open_path / "queue.db")
    open_queue(path).close()
    os.chmod(path, 0o666)
    said = as_nobody(OPEN, path)
    assert said.startswith("TrustError")
    assert "--broker" in said
    assert issubclass(TrustError, BrokerError)


def test_a_queue_one_may_not_even_see_is_refused(open_path: Path) -> None:
    (open_path / "private").mkdir(mode=0o700)
    path = str(open_path / "private" / "queue.db")
    open_queue(path).close()
    said = as_nobody(OPEN, path)
    assert said.startswith("BrokerError")
    assert said.count("\n") == 1
    assert "--broker" in said


def test_a_directory_one_may_not_write_to_is_refused(open_path: Path) -> None:
    said = as_nobody(OPEN, str(open_path / "queue.db"))
    assert said.startswith("BrokerError")
    assert said.count("\n") == 1
    assert "--broker" in said
    assert list(open_path.iterdir()) == []


def test_root_uses_a_users_queue_and_leaves_everything_theirs(open_path: Path) -> None:
    path = str(open_path / "queue.db")
    os.chown(open_path, 65534, 65534)
    as_nobody(OPEN, path)
    root = open_queue(path)
    root.create([prototype()])
    root.listen("done").close()
    os.close(root.open_output(1, 1, "stdout"))
    owners = {str(made): made.stat().st_uid for made in open_path.rglob("*")}
    assert len(owners) > 3
    assert set(owners.values()) == {65534}, owners
    root.close()
    assert as_nobody(OPEN, path) == "opened 1\n"


MOUNTED = """
import os, subprocess, sys
from support import claim, end, enlist, prototype
from aque import brokers
from aque.errors import AqueError, FullError
def mount(*words):
    done = subprocess.run(["mount", *words], capture_output=True, text=True)
    if done.returncode:
        print("SKIP", done.stderr)
        sys.exit(0)
directory = sys.argv[1]
"""

READ_ONLY = (
    MOUNTED
    + """
path = directory + "/queue.db"
if sys.argv[2] == "there":
    broker = brokers.from_url(path)
    broker.create([prototype()])
    broker.close()
mount("--bind", directory, directory)
mount("-o", "remount,ro,bind", directory)
try:
    if sys.argv[2] == "there":
        assert brokers.from_url(path, create=False).last_id() == 1
    brokers.from_url(path).last_id()
    print("opened")
except AqueError as error:
    print(type(error).__name__, error)
"""
)

FULL = (
    MOUNTED
    + """
mount("-t", "tmpfs", "-o", "size=2m", "none", directory)
broker = brokers.from_url(directory + "/queue.db", durable=False)
worker = enlist(broker)
(first,) = broker.create([prototype()])
task, = claim(broker, worker)
created = [first]
with open(broker.open_output(first, 1, "stdout"), "wb") as output:
    output.write(bytes(90000))
line = bytes(70000)
broker.append_log(first, 1, line)
ballast = open(directory + "/ballast", "wb")
ballast.write(bytes(1 << 20))
ballast.flush()
try:
    while True:
        created += broker.create([prototype(args="x" * 9000) for _ in range(3)])
except FullError as error:
    assert chr(10) not in str(error)
    assert directory in str(error)
try:
    while True:
        os.write(ballast.fileno(), b"x")
except OSError:
    pass
for _ in range(3):
    try:
        broker.create([prototype(args="x" * 9000) for _ in range(3)])
        raise SystemExit("there was room")
    except FullError:
        pass
descriptors = os.listdir("/proc/self/fd")
try:
    broker.append_log(first, 1, line)
    raise SystemExit("there was room")
except FullError:
    pass
assert os.listdir("/proc/self/fd") == descriptors
assert broker.existing(0, 1 << 40) == created, "readers go on"
told = [each.remedy for each in brokers.diagnose(directory + "/queue.db") if each.remedy]
assert f"{directory}/queue.db.d/output/{first}-1-stdout (0.1 MiB)" in told[0], told
again = brokers.from_url(directory + "/queue.db", create=False)
assert again.existing(0, 1 << 40) == created
os.unlink(directory + "/ballast")
ballast.close()
assert broker.finish([end(task)]) == [True]
created += broker.create([prototype() for _ in range(10)])
assert broker.existing(0, 1 << 40) == created
broker.close()
import sqlite3
found = sqlite3.connect(directory + "/queue.db").execute("PRAGMA integrity_check").fetchall()
assert found == [("ok",)], found
print("done", len(created))
"""
)


def unshared(code: str, *arguments: str) -> str:
    directory = os.path.dirname(os.path.dirname(__file__))
    try:
        done = subprocess.run(
            ["unshare", "-m", sys.executable, "-c", code, *arguments],
            env={**os.environ, "PYTHONPATH": directory},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("no unshare(1) here")
    if done.stdout.startswith("SKIP") or "unshare failed" in done.stderr:
        pytest.skip(f"no mounts here: {done.stdout}{done.stderr}")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("what", ["there", "missing"])
def test_a_file_system_that_cannot_be_written_to_is_refused_but_to_look(
    tmp_path: Path, what: str
) -> None:
    said = unshared(READ_ONLY, str(tmp_path), what)
    assert said.startswith("UnwritableError" if what == "there" else "BrokerError")
    assert said.count("\n") == 1
    assert "Read-only" in said
    assert "--broker" in said


def test_a_full_disk_loses_nothing_and_is_got_over(tmp_path: Path) -> None:
    assert unshared(FULL, str(tmp_path)).startswith("done")
    assert issubclass(FullError, BrokerError)


def test_a_queue_on_a_shared_disk_keeps_a_journal_that_is_safe_there(tmp_path: Path) -> None:
    broker = brokers.from_url(f"sqlite://{tmp_path}/queue.db?journal=delete")
    (id,) = broker.create([prototype()])
    assert claim(broker, enlist(broker))[0].id == id
    assert not (tmp_path / "queue.db-wal").exists()
    assert "journal=delete" in broker.to_url() or location.find(str(tmp_path)).is_shared
    broker.close()


def test_a_command_says_in_one_line_why_a_queue_is_refused(tmp_path: Path) -> None:
    from support import aque as command

    done = command("status", "--broker", str(tmp_path), status=3)
    assert done.stdout == ""
    assert done.stderr.startswith("aque-status: ")
    assert done.stderr.count("\n") == 1


def test_a_queue_is_opened_without_what_it_does_not_need(path: str) -> None:
    code = (
        "import sys; from aque import brokers; brokers.from_url(sys.argv[1]); print(*sys.modules)"
    )
    loaded = set(python(code, path).stdout.split())
    assert "aque.brokers.sqlite.broker" in loaded
    assert not loaded & {"asyncio", "subprocess", "logging", "ctypes", "click"}
