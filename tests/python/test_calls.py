"""Calls of Python functions: submitted here, run by a worker, their results and errors back."""

from __future__ import annotations

import math
import operator
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path

import called
import pytest
from jobs import ended, fetch, is_alive, output, running, submit
from support import eventually, python, started_python

import aque
from aque import errors, states
from aque.brokers.base import Broker
from aque.queue import Queue

pytestmark = pytest.mark.usefixtures("worker")


def test_a_call_gives_its_result(queue: Queue) -> None:
    assert queue.submit(called.add, 1, b=2).result(10) == 3
    assert queue.submit(math.gcd, 12, 18).result(10) == 6


def test_values_come_back_as_they_went(queue: Queue) -> None:
    args = (1, 2.5, None, "ü\udcff", b"\xff", (1, [2, {3}]), {"a": {1: 2}}, Path("/x"), math)
    sent = args[:-1]
    assert queue.submit(called.echo, *sent, key={"k": sent}).result(10) == (
        sent, {"key": {"k": sent}}
    )  # fmt: skip


def test_objects_and_class_methods_travel_by_name(queue: Queue) -> None:
    assert queue.submit(called.move, called.Point(1), 2).result(10) == called.Point(3)
    assert queue.submit(called.Point, 5).result(10) == called.Point(5)
    assert queue.submit(called.Point.origin).result(10) == called.Point(0)


def test_large_values_come_back_whole(queue: Queue) -> None:
    for size in (65_536, 3_000_000, 20_000_000):
        assert len(queue.submit(called.large, size).result(20)) == size
    with pytest.warns(errors.LargeValueWarning, match="args is 3.0 MB .* pass the path"):
        assert queue.submit(len, "y" * 3_000_000).result(20) == 3_000_000


def test_a_future_can_be_asked(queue: Queue, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    future = queue.submit(called.print_and_wait, str(gate))
    eventually(future.running)
    assert not future.done()
    assert not future.cancelled()
    assert not future.cancel()  # as in concurrent.futures, what runs is left alone
    with pytest.raises(FutureTimeoutError):
        future.result(0.05)
    gate.touch()
    assert future.exception(10) is None
    assert future.done()
    assert not future.running()


def test_a_waiting_call_can_be_cancelled(queue: Queue) -> None:
    future = queue.submit_ex(func=called.add, args=(1, 2), cpus=10_000)
    assert future.cancel()
    assert future.cancelled()
    assert future.done()
    with pytest.raises(CancelledError):
        future.result(5)
    with pytest.raises(CancelledError):
        future.exception(5)


# Failures


def test_an_exception_comes_back_with_its_remote_traceback(queue: Queue, broker: Broker) -> None:
    future = queue.submit(called.fail, "this went wrong")
    error = future.exception(10)
    assert isinstance(error, ValueError)
    assert error.args == ("this went wrong",)
    remote = str(error.__cause__)
    assert "called.py" in remote
    assert "raise ValueError(message)" in remote
    assert "aque/worker" not in remote
    with pytest.raises(ValueError, match="this went wrong"):
        future.result()
    task = future.task()
    assert (task.status, task.error) == (states.ERROR, "ValueError: this went wrong")
    assert b"ValueError: this went wrong" in output(broker, future.id, "stderr")


def test_an_odd_exception_keeps_its_attributes_and_its_cause(queue: Queue) -> None:
    error = queue.submit(called.fail_oddly).exception(10)
    assert isinstance(error, called.OddError)
    assert error.code == 7
    assert str(error) == "7: odd"
    assert isinstance(error.__cause__, ValueError)


def test_a_keyboard_interrupt_is_an_exception_like_others(queue: Queue) -> None:
    future = queue.submit(called.interrupt)
    assert isinstance(future.exception(10), KeyboardInterrupt)
    assert future.task().status == states.ERROR


@pytest.mark.parametrize(
    ("code", "status", "exit_status"),
    [(None, "success", None), (0, "success", None), (3, "error", 3), ("words", "error", 1)],
)
def test_sys_exit_is_an_exit_status(
    queue: Queue, broker: Broker, code: object, status: str, exit_status: int | None
) -> None:
    future = queue.submit(called.leave, code)
    task = future.wait(10)
    assert (task.status, task.exit_status) == (status, exit_status)
    if status == "error":
        error = future.exception()
        assert isinstance(error, errors.TaskFailedError)
        assert error.exit_status == exit_status
    if code == "words":
        assert output(broker, future.id, "stderr") == b"words\n"


def test_a_process_that_leaves_at_once_fails_its_task_alone(queue: Queue) -> None:
    future = queue.submit(called.leave_at_once, 5)
    error = future.exception(10)
    assert isinstance(error, errors.TaskFailedError)
    assert error.exit_status == 5
    assert queue.submit(called.add, 1, 1).result(10) == 2


def test_a_crash_fails_its_task_alone(queue: Queue) -> None:
    future = queue.submit(called.crash)
    error = future.exception(10)
    assert isinstance(error, errors.TaskFailedError)
    assert error.exit_status == 128 + signal.SIGSEGV
    assert future.task().exit_signal == signal.SIGSEGV
    assert "SIGSEGV" in str(error)
    assert queue.submit(called.add, 1, 1).result(10) == 2


def test_a_result_that_cannot_be_encoded_fails_the_task_by_its_path(queue: Queue) -> None:
    error = queue.submit(called.unencodable).exception(10)
    assert isinstance(error, errors.CodecError)
    assert "result['key']" in str(error)


def test_a_function_that_is_gone_fails_the_task(queue: Queue, tmp_path: Path) -> None:
    module, gate = tmp_path / "fleeting.py", tmp_path / "gate"
    module.write_text("def f(): pass\n")
    first = queue.submit(called.print_and_wait, str(gate))
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import fleeting; from aque import Queue\n"
        "print(Queue().submit_ex(func=fleeting.f, dependencies=[int(sys.argv[2])]).id)"
    )
    future = queue.future(int(python(code, str(tmp_path), str(first.id)).stdout))
    module.write_text("")
    gate.touch()
    error = future.exception(10)
    assert isinstance(error, errors.CodecError)
    assert "fleeting:f cannot be found" in str(error)


# What a task writes, reads and leaves


def test_all_that_a_task_writes_is_kept(queue: Queue, broker: Broker) -> None:
    future = queue.submit(called.write)
    assert future.result(10) == "done"
    expected = b"printed\nno newline|written\xff\nby a child\n"
    assert output(broker, future.id) == expected
    assert output(broker, future.id, "stderr") == b"printed to stderr\n"


def test_what_a_task_prints_can_be_seen_at_once(
    queue: Queue, broker: Broker, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    future = queue.submit(called.print_and_wait, str(gate))
    eventually(lambda: output(broker, future.id) == b"before\n")
    assert future.running()
    gate.touch()
    future.result(10)
    assert output(broker, future.id) == b"before\nafter\n"


def test_output_of_one_task_is_not_of_the_next(queue: Queue, broker: Broker) -> None:
    futures = [queue.submit(print, f"task {n}") for n in range(30)]
    for n, future in enumerate(futures):
        assert future.result(10) is None
        assert output(broker, future.id) == b"task %d\n" % n


def test_a_task_may_write_to_files_and_read_from_them(queue: Queue, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("from a file")
    fields = {"cwd": str(tmp_path), "stdin": "in", "stdout": "out", "stderr": "err"}
    future = queue.submit_ex(func=called.write, **fields)
    assert future.result(10) == "done"
    assert (tmp_path / "out").read_bytes() == b"printed\nno newline|written\xff\nby a child\n"
    assert (tmp_path / "err").read_bytes() == b"printed to stderr\n"
    assert queue.submit_ex(func=called.read_stdin, **fields).result(10) == "from a file"
    stored = queue.submit_ex(func=called.read_stdin, stdin="-", stdin_value=b"stored")
    assert stored.result(10) == "stored"
    assert queue.submit(called.read_stdin).result(10) == ""
    both = str(tmp_path / "both")
    queue.submit_ex(func=called.write, stdout=both, stderr=both).result(10)
    assert Path(both).read_bytes().startswith(b"printed\nprinted to stderr\nno newline|")


def test_what_one_task_spoils_the_next_finds_as_it_was(
    queue: Queue, broker: Broker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    pid = queue.submit(called.pid).result(10)
    queue.submit(called.spoil).result(10)
    future = queue.submit(called.surroundings)
    seen = future.result(10)
    assert seen.pop("pid") == pid
    umask = os.umask(0)
    os.umask(umask)
    home = os.environ["HOME"]
    assert seen == {
        "spoiled": None, "home": home, "path": False, "argv": [""], "tid": str(future.id),
        "cwd": str(tmp_path), "umask": umask, "alarm": (0.0, 0.0),
        "recursion": called.RECURSION, "handlers": [signal.SIG_DFL, signal.SIG_IGN],
    }  # fmt: skip
    assert output(broker, future.id) == b"to stdout\n"


def test_a_task_that_leaves_a_thread_behind_is_the_last_of_its_runner(queue: Queue) -> None:
    pid = queue.submit(called.leave_a_thread).result(10)
    eventually(lambda: not is_alive(pid))
    assert queue.submit(called.pid).result(10) != pid


def test_a_child_that_a_task_left_behind_ends_with_its_runner(queue: Queue) -> None:
    pid, child = queue.submit(called.leave_a_child).result(10)
    eventually(lambda: not is_alive(pid))
    eventually(lambda: not is_alive(child))


def test_a_forked_child_that_comes_out_of_its_task_ends_there(queue: Queue, broker: Broker) -> None:
    pid = queue.submit(called.pid).result(10)
    for code, status in ((None, 0), (0, 0), (3, 3), ("words", 1)):
        future = queue.submit(called.fork, code)
        assert future.result(10) == status
        assert output(broker, future.id) == b"child\n"
    assert queue.submit(called.pid).result(10) == pid


def test_a_task_that_closed_its_output_is_the_last_of_its_runner(queue: Queue) -> None:
    pid = queue.submit(called.close_stdout).result(10)
    eventually(lambda: not is_alive(pid))
    assert queue.submit(called.pid).result(10) != pid


def test_why_a_task_failed_is_known_though_it_closed_its_output(queue: Queue) -> None:
    error = queue.submit(called.fail_unheard, "the reason").exception(10)
    assert repr(error) == "ValueError('the reason')"


def test_a_runner_stays_warm(queue: Queue) -> None:
    pids = {queue.submit(called.pid).result(10) for _ in range(5)}
    assert len(pids) == 1


def test_a_runner_that_was_killed_while_idle_is_replaced(queue: Queue) -> None:
    pid = queue.submit(called.pid).result(10)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not is_alive(pid))
    assert queue.submit(called.pid).result(10) != pid


def test_each_environment_has_runners_of_its_own(queue: Queue) -> None:
    for value in ("a", "b", "a"):
        environ = {**os.environ, "VALUE": value}
        assert queue.submit_ex(func=called.environ, args=["VALUE"], environ=environ).result(
            10
        ) == value  # fmt: skip


# Inside a task


def test_a_task_knows_itself_and_its_queue(queue: Queue, broker: Broker) -> None:
    future = queue.submit(called.who)
    assert future.result(10) == (future.id, 1, "running", broker.to_url())
    assert aque.current_task() is None


def test_a_task_may_submit_another(queue: Queue, broker: Broker) -> None:
    id = queue.submit(called.submit_another, 41).result(10)
    assert queue.future(id).result(10) == 42
    environment = fetch(broker, id).environment
    assert environment is not None
    stored = broker.environ(environment)
    assert not {"AQUE_TID", "AQUE_JOB", "AQUE_SLOT", "AQUE_CPUS", "AQUE_ATTEMPT"} & stored.keys()
    assert stored["AQUE_BROKER"] == broker.to_url()


# Graphs


def test_a_reduce_folds_ten_results_in_their_order(queue: Queue) -> None:
    calls = [{"func": operator.mul, "args": (n, n)} for n in range(10)]
    total = queue.submit_ex(pattern="reduce", func=called.add, dependencies=calls)
    assert total.result(20) == sum(n * n for n in range(10))
    texts = [{"func": str, "args": (n,)} for n in range(10)]
    joined = queue.submit_ex(
        pattern="reduce", func=operator.add, args=("start ",), dependencies=texts
    )
    assert joined.result(20) == "start 0123456789"


def test_nested_prototypes_become_one_graph(queue: Queue) -> None:
    shared = {"func": called.add, "args": (1, 1)}
    left = {"func": called.add, "args": (2, 2), "dependencies": [shared]}
    right = {"func": called.add, "args": (3, 3), "dependencies": [shared]}
    (future,) = queue.submit_many(
        [{"pattern": "reduce", "func": called.add, "dependencies": [left, right]}]
    )
    assert future.result(10) == 10
    values = [each.result(10) for each in future.iter()]
    assert values == [2, 4, 6, 10]


def test_a_group_succeeds_when_its_children_have(queue: Queue) -> None:
    group = queue.submit_ex(children=[{"func": called.add, "args": (n, n)} for n in range(3)])
    assert group.result(10) is None
    assert sorted(f.result(10) or 0 for f in group.iter() if f.id != group.id) == [0, 2, 4]


def test_what_needs_a_failure_says_so(queue: Queue) -> None:
    first = queue.submit(called.fail, "no")
    last = queue.submit_ex(func=called.add, args=(1, 2), dependencies=[first])
    with pytest.raises(errors.DependencyFailedError, match=f"task {first.id}"):
        last.result(10)


def test_a_command_that_failed_says_how(queue: Queue, broker: Broker) -> None:
    future = queue.future(submit(broker, "sh", "-c", "exit 9"))
    with pytest.raises(errors.TaskFailedError, match="exit status 9"):
        future.result(10)
    assert queue.future(submit(broker, "true")).result(10) == 0


def test_waiting_for_several(queue: Queue, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    slow = queue.submit_ex(func=called.print_and_wait, args=[str(gate)], cpus=0)
    quick = [queue.submit_ex(func=called.add, args=[n, n], cpus=0) for n in range(3)]
    assert [future.result() for future in order(quick)] == [0, 2, 4]
    done, left = aque.wait([slow, *quick], timeout=0.05)
    assert (done, left) == (set(quick), {slow})
    done, left = aque.wait([slow, *quick], any_one=True)
    assert slow in left
    with pytest.raises(FutureTimeoutError):
        list(aque.as_completed([slow], timeout=0.05))
    gate.touch()
    again = aque.Queue(queue.broker.to_url()).future(slow.id)
    assert aque.wait([slow, *quick, again], timeout=10) == ({slow, *quick, again}, set())


def test_futures_of_two_queues_are_not_waited_for_together(queue: Queue, tmp_path: Path) -> None:
    other = aque.Queue(str(tmp_path / "other.db"))
    futures = [each.submit(called.add, 1, 1) for each in (queue, other)]
    assert futures[0].id == futures[1].id
    for wait in (aque.wait, lambda given: list(aque.as_completed(given))):
        with pytest.raises(errors.UsageError, match=r"in another queue .*; wait for each"):
            wait(futures)
    other.broker.close()


def order(futures: list[aque.Future[int]]) -> Iterator[aque.Future[int]]:
    return iter(sorted(aque.as_completed(futures, timeout=10), key=lambda future: future.id))


# Futures of others


def test_two_processes_wait_for_one_future(queue: Queue, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    future = queue.submit(called.print_and_wait, str(gate))
    eventually(future.running)
    code = "import sys, aque; print(aque.Queue().future(int(sys.argv[1])).result(20))"
    with started_python(code, str(future.id)) as one, started_python(code, str(future.id)) as two:
        gate.touch()
        assert future.result(10) is None
        for process in (one, two):
            assert process.stdout is not None
            assert process.stdout.read() == b"None\n"


def test_a_future_outlives_its_submitter(queue: Queue) -> None:
    code = (
        "import sys, os, aque; sys.path.insert(0, sys.argv[1]); import called\n"
        "print(aque.Queue().submit(called.add, 20, 22).id, flush=True); os.kill(os.getpid(), 9)"
    )
    done = python(code, str(Path(__file__).parent), status=-9)
    assert queue.future(int(done.stdout)).result(10) == 42


def test_the_future_of_a_task_that_does_not_exist_is_refused(queue: Queue) -> None:
    with pytest.raises(errors.TaskNotFoundError, match="999"):
        queue.future(999)


def test_a_future_whose_task_is_removed_says_so(queue: Queue) -> None:
    future = queue.submit_ex(func=called.add, args=(1, 2), cpus=10_000)
    queue.kill([future.id])
    queue.remove([future.id])
    with pytest.raises(errors.TaskNotFoundError, match=str(future.id)):
        future.result(5)


def test_a_killed_call_is_cancelled(queue: Queue, broker: Broker) -> None:
    future = queue.submit(time.sleep, 600)
    running(broker, future.id)
    queue.kill([future.id])
    with pytest.raises(CancelledError):
        future.result(10)
    assert ended(broker, future.id).exit_signal == signal.SIGTERM
    assert sys.exc_info() == (None, None, None)
