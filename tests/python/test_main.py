"""Functions of a program itself: a script's, a prompt's, and those without a name."""

from __future__ import annotations

import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import called
import pytest
from jobs import run_script
from support import python

from aque import errors
from aque.brokers.base import Broker
from aque.queue import Queue

SCRIPT = """
import sys
from dataclasses import dataclass
from aque import Queue

@dataclass
class Point:
    x: int

class ScriptError(Exception):
    pass

def double(point):
    print("in", __name__)
    return Point(point.x * 2)

def fail():
    raise ScriptError("of the script")

def pool():
    import multiprocessing
    with multiprocessing.get_context("spawn").Pool(1) as workers:
        return workers.map(square, [3])

def square(x):
    return x * x

if __name__ == "__main__":
    queue = Queue()
    assert queue.submit(double, Point(4)).result(20) == Point(8)
    try:
        queue.submit(fail).result(20)
    except ScriptError as error:
        print("caught", error)
    print(queue.submit(pool).result(20))
"""


@pytest.mark.usefixtures("worker")
def test_functions_and_classes_of_a_script_are_found(tmp_path: Path) -> None:
    done = run_script(tmp_path / "script.py", SCRIPT)
    assert (done.stdout, done.stderr) == ("caught of the script\n[9]\n", "")


METHODS = """
from functools import partial
from aque import Queue

queue = Queue()

class Point:
    def __call__(self):
        import __main__
        return __main__.Point is type(self)

    def method(self):
        return self()

    @classmethod
    def of_class(cls):
        return cls()()

@queue.task()
def decorated():
    return Point()()

if __name__ == "__main__":
    called = (Point(), Point().method, Point.of_class, partial(Point()), decorated.__wrapped__)
    print([queue.submit(function).result(20) for function in called])
"""


@pytest.mark.usefixtures("worker")
def test_whatever_of_a_script_is_called_finds_it_as_main(tmp_path: Path) -> None:
    done = run_script(tmp_path / "script.py", METHODS)
    assert (done.stdout, done.stderr) == (f"{[True] * 5}\n", "")


@pytest.mark.usefixtures("worker")
def test_two_scripts_with_functions_of_one_name_are_told_apart(
    tmp_path: Path, queue: Queue
) -> None:
    text = """
from aque import Queue

def f():
    import __main__
    return {name!r}, __main__.f is f

if __name__ == "__main__":
    print(Queue().submit(f).result(20))
"""
    for name in ("one", "two", "one"):
        done = run_script(tmp_path / f"{name}.py", text.format(name=name))
        assert done.stdout == f"('{name}', True)\n", done.stderr


PATHS = """
import os, sys
from aque import Queue

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "before"))
sys.path.append(os.path.join(here, "behind"))
import behind, beside, first

def f(x):
    return first.f(beside.f(x))

if __name__ == "__main__":
    queue = Queue()
    calls = [queue.submit(function, 3) for function in (behind.f, f)]
    print([call.result(20) for call in calls])
"""


@pytest.mark.usefixtures("worker")
def test_a_script_that_changes_where_it_imports_from_finds_the_same_modules(
    tmp_path: Path,
) -> None:
    bodies = {
        "before/first.py": "def f(x): return x + 1",
        "beside.py": "def f(x): return x * 2",
        "behind/behind.py": "import colorsys\ndef f(x): return colorsys.rgb_to_hsv(0, 0, x)[2]",
        "behind/colorsys.py": "raise SystemExit('this is not the colorsys of the library')",
    }
    for name, body in bodies.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(body)
    done = run_script(tmp_path / "script.py", PATHS)
    assert (done.stdout, done.stderr) == ("[3, 7]\n", "")


@pytest.mark.usefixtures("worker")
def test_an_unguarded_script_is_refused_instead_of_submitting_itself_for_ever(
    tmp_path: Path, broker: Broker
) -> None:
    text = """
from aque import Queue

def f():
    return 1

print(Queue().submit(f).result(20))
"""
    done = run_script(tmp_path / "script.py", text)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert 'put what it does under if __name__ == "__main__":' in last
    assert len(broker.existing(0, 1000)) == 1


@pytest.mark.usefixtures("worker")
def test_a_module_run_by_its_name_is_found_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("")
    text = SCRIPT.replace("print(queue.submit(pool).result(20))", "")
    (tmp_path / "pkg" / "mod.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pkg.mod"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("caught of the script\n", "")


DECORATED = """
from aque import Queue

queue = Queue()

@queue.task(priority=5, name="named")
def add(a, b=1):
    "Adds."
    return a + b

if __name__ == "__main__":
    assert add(1) == 2
    assert add.__doc__ == "Adds." and add.__name__ == "add"
    future = add.submit(3, b=4)
    assert future.result(20) == 7
    assert (future.task().priority, future.task().name) == (5, "named")
    other = add.submit_ex(args=(1,), priority=9)
    assert other.result(20) == 2
    assert (other.task().priority, other.task().name) == (9, "named")
    print("ok")
"""


@pytest.mark.usefixtures("worker")
def test_a_decorated_function_can_be_called_and_submitted(tmp_path: Path) -> None:
    done = run_script(tmp_path / "script.py", DECORATED)
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_a_function_typed_at_a_prompt_is_refused(broker: Broker) -> None:
    text = "from aque import Queue\ndef f(): pass\n\nQueue().submit(f)\n"
    words = [sys.executable, "-i", "-q"]
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    assert "CodecError" in done.stderr
    assert "put it in a file" in done.stderr
    by_c = python("from aque import Queue\ndef f(): pass\nQueue().submit(f)", status=1)
    assert "put it in a file" in by_c.stderr
    assert broker.existing(0, 1000) == []


def local() -> object:
    def inner() -> None: ...

    return inner


@pytest.mark.parametrize(
    ("func", "words"),
    [
        (lambda: None, "write it with def"),
        (local(), "move it to the top level"),
        (partial(local()), "move it to the top level"),  # type: ignore[arg-type]
        (threading.Lock().acquire, "has no text form"),
    ],
    ids=["a lambda", "a local function", "a partial of one", "a method of a lock"],
)
def test_what_cannot_be_found_again_is_refused(queue: Queue, func: object, words: str) -> None:
    with pytest.raises(errors.CodecError, match=words) as caught:
        queue.submit(func)  # type: ignore[arg-type]
    assert str(caught.value).startswith("func")
    assert queue.broker.existing(0, 1000) == []


def test_what_cannot_be_called_is_refused(queue: Queue) -> None:
    with pytest.raises(errors.UsageError, match="func is 17"):
        queue.submit(17)  # type: ignore[arg-type]


@pytest.mark.usefixtures("worker")
def test_a_partial_and_a_method_of_an_object_travel_with_what_they_hold(queue: Queue) -> None:
    assert queue.submit(partial(called.add, 1), 2).result(20) == 3
    assert queue.submit(called.Point(1).moved, 2).result(20) == called.Point(3)


def test_an_argument_that_cannot_be_encoded_is_named_by_its_path(queue: Queue) -> None:
    with pytest.raises(errors.CodecError) as caught:
        queue.submit(called.echo, 1, 2, {"key": threading.Lock()})
    assert str(caught.value).startswith("args[2]['key']: ")
    with pytest.raises(errors.CodecError) as caught:
        queue.submit(called.echo, word=[threading.Lock()])
    assert str(caught.value).startswith("kwargs['word'][0]: ")
    assert queue.broker.existing(0, 1000) == []


def test_one_bad_prototype_of_many_submits_none(queue: Queue) -> None:
    good = {"func": called.add, "args": (1, 2)}
    for bad in ({"func": local()}, {"unknown": 1}, {"func": called.add, "dependencies": [999]}):
        with pytest.raises(errors.AqueError):
            queue.submit_many([good, bad, good])
    assert queue.broker.existing(0, 1000) == []


def test_a_prototype_with_a_key_that_is_none_is_refused_by_name(queue: Queue) -> None:
    with pytest.raises(errors.UsageError, match="no key 'funk'"):
        queue.submit_ex(funk=called.add)


def test_a_missing_dependency_is_named(queue: Queue) -> None:
    with pytest.raises(errors.DependencyResolutionError, match="999"):
        queue.submit_ex(func=called.add, args=(1, 2), dependencies=[999])


def test_a_cycle_is_refused(queue: Queue) -> None:
    first: dict[str, object] = {"name": "first", "func": called.add, "args": (1, 2)}
    second = {"name": "second", "func": called.add, "args": (1, 2), "dependencies": [first]}
    first["dependencies"] = [second]
    with pytest.raises(errors.DependencyCycleError, match="first"):
        queue.submit_many([first])
    itself: dict[str, object] = {"name": "itself"}
    itself["children"] = [itself]
    with pytest.raises(errors.DependencyCycleError, match="itself"):
        queue.submit_many([itself])
    assert queue.broker.existing(0, 1000) == []


def test_a_long_chain_needs_no_deep_stack(queue: Queue) -> None:
    chain: dict[str, object] = {"pattern": "shell", "args": ["true"]}
    for _ in range(3000):
        chain = {"pattern": "shell", "args": ["true"], "dependencies": [chain]}
    (future,) = queue.submit_many([chain])
    assert len(list(future.iter())) == 3001
    queue.kill([future.id], recursive=True)
    assert future.cancelled()
