"""What runners bear: other Pythons, processes that end in every way, short calls by the hundred."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import called
import pytest
from jobs import attempts, ended, fetch, is_alive, output, running, work
from support import eventually, started_worker

import aque
from aque import errors, states
from aque.brokers.base import Broker
from aque.queue import Queue
from aque.record import replace
from aque.worker import kinds


def messages(queue: Queue, id: int) -> list[str]:
    import json

    lines = queue.future(id).output("log").splitlines()
    return [f"{r['level']} {r['logger']} {r['message']}" for r in map(json.loads, lines)]


@pytest.mark.usefixtures("worker")
def test_a_fresh_environment_without_aque_runs_calls(queue: Queue, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    interpreter = str(tmp_path / "venv" / "bin" / "python")
    future = queue.submit_ex(func=called.prefix, interpreter=interpreter)
    assert future.result(30) == str(tmp_path / "venv")
    assert queue.submit(called.prefix).result(20) == sys.prefix


@pytest.mark.usefixtures("worker")
def test_an_interpreter_that_is_none_fails_its_task_once(queue: Queue, broker: Broker) -> None:
    future = queue.submit_ex(func=called.add, args=[1, 2], interpreter="/bin/false")
    with pytest.raises(errors.TaskFailedError, match="exit status 1"):
        future.result(20)
    missing = queue.submit_ex(func=called.add, args=[1, 2], interpreter="/no/python")
    with pytest.raises(errors.TaskFailedError, match="/no/python"):
        missing.result(20)
    assert fetch(broker, future.id).attempt == 1


@pytest.mark.usefixtures("worker")
def test_each_call_has_its_own_directory_input_and_arguments(queue: Queue, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("from a file")
    fields: dict[str, Any] = {"func": called.read_stdin, "cwd": str(tmp_path)}
    given = queue.submit_ex(**fields, stdin=str(tmp_path / "in"))
    stored = queue.submit_ex(**fields, stdin="-", stdin_value=b"stored")
    none = queue.submit_ex(**fields)
    assert [f.result(20) for f in (given, stored, none)] == ["from a file", "stored", ""]
    assert queue.submit(called.arguments).result(20) == [""]


@pytest.mark.usefixtures("worker")
def test_a_call_reads_nothing_of_another_ones_input(queue: Queue, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("first\nsecond\n")
    given = queue.submit_ex(func=called.read_line, stdin=str(tmp_path / "in"))
    assert given.result(20) == "first\n"
    assert queue.submit(called.read_line).result(20) == ""


@pytest.mark.usefixtures("worker")
def test_warnings_and_the_traceback_of_a_crash_are_kept(queue: Queue, broker: Broker) -> None:
    warned = queue.submit(called.warn)
    warned.result(20)
    assert b"UserWarning: careful" in output(broker, warned.id, "stderr")
    crashed = queue.submit(called.crash)
    with pytest.raises(errors.TaskFailedError, match="SIGSEGV"):
        crashed.result(20)
    assert b"Fatal Python error: Segmentation fault" in output(broker, crashed.id, "stderr")


@pytest.mark.usefixtures("worker")
def test_logging_works_as_usual_and_its_records_are_kept(queue: Queue, broker: Broker) -> None:
    future = queue.submit(called.log)
    future.result(20)
    assert messages(queue, future.id) == [
        "WARNING tool before", "INFO tool 1 thing", "DEBUG aque.job ours",
        "ERROR tool.part wrong\nTraceback (most recent call last):\n"
        f'  File "{called.__file__}", line {called.LOG_LINE}, in log\n'
        "    raise ValueError(\"in a log\")\nValueError: in a log",
    ]  # fmt: skip
    shown = output(broker, future.id, "stderr").decode().splitlines()
    assert shown[:2] == ["before", "INFO:tool:1 thing"]  # of last resort, then of basicConfig
    assert "ours" not in shown
    assert shown.count("--- Logging error ---") == 2  # one for each that cannot be put into words
    queue.submit(called.add, 1, 2).result(20)
    assert len(messages(queue, future.id)) == 4


@pytest.mark.usefixtures("worker")
def test_long_records_of_threads_and_forked_children_do_not_mix(queue: Queue) -> None:
    future = queue.submit(called.log_at_once, 20, 20_000)
    future.result(20)
    wanted = [f"WARNING tool {name * 20_000}" for name in "abcd" for _ in range(20)]
    assert sorted(messages(queue, future.id)) == wanted


def test_records_of_aque_go_on_in_the_worker(queue: Queue, broker: Broker) -> None:
    future = queue.submit(called.log)
    said = work(broker, "--verbose")
    assert "aque.job: ours" not in said  # debug
    assert f"task {future.id}: success" in said


@pytest.mark.usefixtures("worker")
def test_progress_is_told_often_and_kept_last(queue: Queue, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    future = queue.submit(called.report, str(gate))
    eventually(lambda: future.progress() == (0, 1000, "begun"))
    gate.touch()
    future.result(20)
    assert future.progress() == (1000, 1000, "step 1000")
    assert queue.submit(called.add, 1, 2).progress() is None


@pytest.mark.usefixtures("worker")
def test_an_endless_loop_times_out_and_memory_is_bounded(queue: Queue, broker: Broker) -> None:
    endless = queue.submit_ex(func=called.loop, timeout=0.3)
    hog = queue.submit_ex(func=called.hog, args=[300], memory=100 << 20)
    with pytest.raises(errors.TaskFailedError, match="timed out after"):
        endless.result(30)
    assert fetch(broker, endless.id).exit_status == 124
    with pytest.raises(errors.TaskFailedError, match=r"used \d{3}.* MiB of memory") as ended:
        hog.result(30)
    told = re.search(r"used ([\d.]+) MiB", str(ended.value))
    peak = fetch(broker, hog.id).max_rss
    assert told is not None
    assert peak is not None
    assert peak > 100 << 20  # it may have been seen before it had all of its 300
    assert peak >= (float(told[1]) - 2) * (1 << 20)  # the system counts pages by the batch


def test_a_changed_module_is_picked_up_after_a_hup(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "changing.py"
    module.write_text("def version():\n    return 'the first'\n")
    import changing  # type: ignore[import-not-found]

    with started_worker(queue.broker) as worker:
        assert queue.submit(changing.version).result(20) == "the first"
        module.write_text("def version():\n    return 'the second one'\n")
        assert queue.submit(changing.version).result(20) == "the first"
        worker.send_signal(signal.SIGHUP)
        eventually(lambda: queue.submit(changing.version).result(20) == "the second one")


# Short calls


@pytest.mark.usefixtures("worker")
def test_the_output_of_short_calls_is_told_apart(queue: Queue, broker: Broker) -> None:
    many = queue.submit_many({"func": called.tell, "args": [n], "cpus": 0} for n in range(400))
    assert [future.result(60) for future in many] == list(range(400))
    for n, future in enumerate(many):
        wanted = f"out {n}\nby C {n}\n".encode() if n % 3 == 0 else b""
        assert output(broker, future.id) == wanted
        assert output(broker, future.id, "stderr") == (f"err {n}\n".encode() if n % 5 == 0 else b"")
        assert fetch(broker, future.id).attempt == 1


@pytest.mark.usefixtures("worker")
def test_a_call_has_the_mark_of_its_worker_unless_it_means_to_leave_something(queue: Queue) -> None:
    call = {"func": called.environ, "args": ["AQUE_JOB"], "cpus": 0}
    many = queue.submit_many({**call, "keep_background": n // 10 % 2 == 0} for n in range(60))
    marks = [future.result(20) for future in many]
    assert [mark == "" for mark in marks] == [n // 10 % 2 == 0 for n in range(60)]
    assert len(set(marks)) == 2


@pytest.mark.parametrize(
    "field",
    "interpreter user environment import_path pattern func cwd umask cpus keep_background"
    " stdin stdout stderr".split(),
)
def test_only_calls_that_run_in_the_same_surroundings_are_sent_together(
    queue: Queue, field: str
) -> None:
    task = queue.submit(called.add, 1, 2).task()
    other = replace(task, **{field: "other"})
    assert kinds.batches([task, task, other]) == [[task, task], [other]]


def test_what_waits_behind_a_call_that_takes_long_goes_to_another_worker(
    queue: Queue, broker: Broker, tmp_path: Path
) -> None:
    """Each is run once, though workers take back what they have sent."""
    gate, log = tmp_path / "gate", tmp_path / "log"
    with started_worker(broker, "--slots", "1"), started_worker(broker, "--slots", "1"):
        quick = {"func": called.note, "cpus": 0}
        queue.submit_many({**quick, "args": [str(log), n, ""]} for n in range(300))
        slow = queue.submit_ex(**quick, args=[str(log), 300, str(gate)])
        rest = queue.submit_many({**quick, "args": [str(log), n, ""]} for n in range(301, 600))
        for future in rest:
            future.result(60)
        assert slow.running()
        gate.touch()
        slow.result(20)
    assert sorted(map(int, log.read_text().split())) == list(range(600))
    assert {t.attempt for t in broker.search() if t.status == states.SUCCESS} == {1}
    assert not any(attempts(broker, t.id) for t in broker.search())


def test_a_call_that_takes_long_is_not_sent_more_than_its_pipe_holds(
    queue: Queue, broker: Broker, tmp_path: Path
) -> None:
    """What was sent to wait behind it, and is taken back, stays in the pipe until it ends."""
    gate, long = tmp_path / "gate", f"/dev/{'/' * 2000}null"
    quick = {"func": called.note, "cpus": 0}
    with started_worker(broker, "--slots", "2"):
        aque.wait(queue.submit_many({**quick, "args": [long, n, ""]} for n in range(300)))
        slow = queue.submit_ex(**quick, args=[long, 300, str(gate)], priority=2000)
        rest = queue.submit_many({**quick, "args": [long, n, ""]} for n in range(2500))
        assert not aque.wait(rest, 30).not_done
        assert slow.running()
        gate.touch()
        slow.result(20)


def test_a_short_call_that_ends_its_process_takes_no_other_along(
    queue: Queue, broker: Broker
) -> None:
    with started_worker(broker, "--slots", "2"):
        many = queue.submit_many(
            {"func": called.leave_sometimes, "args": [n], "cpus": 0} for n in range(300)
        )
        for n, future in enumerate(many):
            if n % 97 == 50:
                with pytest.raises(errors.TaskFailedError, match="exit status 7"):
                    future.result(60)
            else:
                assert future.result(60) == n


def test_a_worker_that_is_told_to_end_gives_back_what_it_has_not_begun(
    queue: Queue, broker: Broker
) -> None:
    queue.submit_many({"func": called.nap, "args": [0.001], "cpus": 0} for _ in range(2000))
    with started_worker(broker, "--slots", "2") as worker:
        eventually(lambda: sum(t.status == states.SUCCESS for t in broker.search()) > 50)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    tasks = broker.search()
    assert {task.status for task in tasks} <= {states.SUCCESS, states.PENDING}
    assert {task.attempt for task in tasks if task.status == states.PENDING} == {0}


def test_a_kill_reaches_the_one_it_is_for(queue: Queue, broker: Broker) -> None:
    with started_worker(broker, "--slots", "1"):
        quick = queue.submit_many({"func": called.add, "args": [n, 1]} for n in range(50))
        slow = queue.submit_ex(func=called.nap, args=[60])
        after = queue.submit_many({"func": called.add, "args": [n, 1]} for n in range(50))
        running(broker, slow.id)
        queue.kill([slow.id, after[0].id])
        assert ended(broker, slow.id).status == states.CANCELLED
        assert [future.result(20) for future in after[1:]] == list(range(2, 51))
    assert [future.result(20) for future in quick] == list(range(1, 51))
    assert ended(broker, after[0].id).status in (states.CANCELLED, states.SUCCESS)


@pytest.mark.parametrize(
    ("descriptor", "said"),
    [
        (4, b"nonsense\n"),
        (4, b"[]\n"),
        (4, b"\xff[[[\n"),
        (4, b"[" * 100_000 + b"\n"),
        (4, b'[99, 1, 1, 0, 0, null, true, "success", "1"]\n'),
        (4, b'[0, 1, 1, 0, 0, null, true, "running", "1"]\n'),
        (4, b'[0, 1, NaN, 0, 0, null, true, "success", "1"]\n'),
        (4, b'[0, 1, 1, 0, 0, null, true, "success", 1]\n'),
        (6, b'["log", 1, 1, 1e999, "INFO", "x", "y"]\n'),
        (6, b'["progress", 1, 1]\n'),
        (6, b'{"kind": []}\n'),
        (6, b'["piece", 1, 1, "x", true, "[\\"piece\\", 1, 1, \\"x\\", true, \\"\\"]"]\n'),
    ],
)
def test_a_task_that_speaks_for_its_runner_is_an_error_and_its_worker_lives(
    queue: Queue, worker: Any, descriptor: int, said: bytes
) -> None:
    with pytest.raises(errors.TaskFailedError, match="aque-runner answers by"):
        queue.submit(called.say, descriptor, said).result(20)
    assert queue.submit(called.add, 1, 2).result(20) == 3


def test_a_progress_that_is_no_number_is_not_known(queue: Queue, worker: Any) -> None:
    future = queue.submit(called.report_oddly)
    assert future.result(20) == "alive"
    task = future.task()
    assert (task.progress_done, task.progress_total, task.progress_message) == (None, None, "7")


def test_a_task_cannot_tell_the_progress_of_another(queue: Queue, broker: Broker) -> None:
    with started_worker(broker, "--slots", "2"):
        one = queue.submit(called.nap, 60)
        running(broker, one.id)
        record = b'["progress", %d, 1, 0.5, 1, "mine"]\n' % one.id
        own = b'["progress", %d, 1, 0.5, 1, "own"]\n' % (one.id + 1)
        two = queue.submit(called.say, 6, record + own)
        eventually(lambda: fetch(broker, two.id).progress_message == "own")
        assert fetch(broker, one.id).progress_message is None
        queue.kill([one.id, two.id])
        ended(broker, one.id)
        ended(broker, two.id)


def test_a_runner_is_replaced_before_its_tasks_have_left_it_no_descriptors(
    queue: Queue, broker: Broker
) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with started_worker(
        broker, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (512, limit))
    ):
        pids = [queue.submit(called.keep_open, 100).result(20) for _ in range(6)]
    assert pids[0] != pids[3]
    assert pids == [pids[0]] * 3 + [pids[3]] * 3


def test_a_runner_that_has_grown_is_replaced(queue: Queue, worker: Any) -> None:
    pid = queue.submit(called.pid).result(20)
    assert queue.submit(called.hog_for_good, 600).result(30) == pid
    eventually(lambda: not is_alive(pid))
    assert queue.submit(called.pid).result(20) != pid
    assert time.monotonic() > 0
    assert os.getpid() != pid
