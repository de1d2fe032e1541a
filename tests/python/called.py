"""Functions that the tests submit; a worker imports this module by its name."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from typing import Any

import aque

#: What only a runner asks for as it imports this.
RECURSION = 2000
if "AQUE_TID" in os.environ:
    sys.setrecursionlimit(RECURSION)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def add(a: int, b: int) -> int:
    return a + b


def echo(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


def fail(message: str) -> None:
    raise ValueError(message)


class OddError(Exception):
    """Its constructor wants other arguments than it hands on."""

    def __init__(self, code: int, *, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code


def fail_oddly() -> None:
    try:
        fail("the first")
    except ValueError as error:
        raise OddError(7, reason="odd") from error


def interrupt() -> None:
    raise KeyboardInterrupt


def leave(code: Any) -> None:
    sys.exit(code)


def leave_at_once(code: int) -> None:
    os._exit(code)


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def write() -> str:
    print("printed")
    print("printed to stderr", file=sys.stderr)
    sys.stdout.write("no newline")
    sys.stdout.flush()
    os.write(1, b"|written\xff\n")
    subprocess.run(["echo", "by a child"], check=True)
    return "done"


def log_much(place: str) -> None:
    """Log a lot, the second half once told to go on."""
    for number in range(40):
        if number == 20:
            open(f"{place}/began", "w").close()
            while not os.path.exists(f"{place}/go"):
                time.sleep(0.002)
        logging.getLogger("much").warning("%s record %d", "x" * 100, number)


def print_and_wait(gate: str) -> None:
    print("before")
    while not os.path.exists(gate):
        time.sleep(0.01)
    print("after")


def leave_a_thread() -> int:
    threading.Thread(target=time.sleep, args=(600,), daemon=False).start()
    return os.getpid()


def leave_a_child() -> tuple[int, int]:
    return os.getpid(), subprocess.Popen(["sleep", "600"]).pid


def fork(code: Any) -> Any:
    """Have a forked child come out of this function too: by sys.exit, or with None by return."""
    pid = os.fork()
    if pid == 0:
        print("child")
        return None if code is None else sys.exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def pid() -> int:
    return os.getpid()


def who() -> tuple[int, int, str, str]:
    task = aque.current_task()
    assert task is not None
    return task.id, task.attempt, task.status, aque.current_broker().to_url()


def submit_another(a: int) -> int:
    """Submit a task from inside a task; return its id."""
    queue = aque.Queue(aque.current_broker())
    return queue.submit(add, a, 1).id


def spoil() -> None:
    """Change what a good guest would leave alone."""
    os.environ["SPOILED"] = "yes"
    os.environ.pop("HOME", None)
    os.environ = dict(os.environ)  # type: ignore[assignment]  # noqa: B003
    sys.path.insert(0, "/spoiled")
    sys.path = tuple(sys.path)  # type: ignore[assignment]
    sys.argv = ("spoiled",)  # type: ignore[assignment]
    sys.setrecursionlimit(60)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    os.chdir("/usr")
    os.umask(0o777)
    sys.stdout = sys.stderr
    os.dup2(2, 1)


def surroundings() -> dict[str, Any]:
    umask = os.umask(0)
    os.umask(umask)
    print("to stdout")
    return {
        "spoiled": os.environ.get("SPOILED"),
        "home": os.environ.get("HOME"),
        "path": "/spoiled" in sys.path,
        "argv": sys.argv,
        "recursion": sys.getrecursionlimit(),
        "handlers": [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGUSR1)],
        "alarm": signal.getitimer(signal.ITIMER_REAL),
        "tid": os.environ.get("AQUE_TID"),
        "cwd": os.getcwd(),
        "umask": umask,
        "pid": os.getpid(),
    }


def close_stdout() -> int:
    sys.stdout.close()
    return os.getpid()


def fail_unheard(message: str) -> None:
    del sys.stdout
    sys.stderr.close()
    raise ValueError(message)


def read_stdin() -> str:
    return sys.stdin.read()


def read_line() -> str:
    return sys.stdin.readline()


def large(size: int) -> str:
    return "x" * size


def unencodable() -> Any:
    return {"key": threading.Lock()}


def environ(name: str) -> str | None:
    return os.environ.get(name)


class Point:
    def __init__(self, x: int) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and other.x == self.x

    def __hash__(self) -> int:
        return hash(self.x)

    def moved(self, by: int) -> Point:
        return Point(self.x + by)

    @classmethod
    def origin(cls) -> Point:
        return cls(0)


def move(point: Point, by: int) -> Point:
    return Point(point.x + by)


def prefix() -> str:
    return sys.prefix


def arguments() -> list[str]:
    return sys.argv


def warn() -> None:
    warnings.warn("careful", stacklevel=1)


def log() -> None:
    tool = logging.getLogger("tool")
    tool.warning("before")
    logging.basicConfig(level=logging.INFO)
    tool.info("%d thing", 1)
    tool.debug("not asked for")
    tool.warning("%d things", "three")
    logging.getLogger("aque.job").debug("ours")
    logging.getLogger("aque.job").debug("%d of ours", "three")
    try:
        raise ValueError("in a log")
    except ValueError:
        logging.getLogger("tool.part").exception("wrong")


def log_at_once(count: int, size: int) -> None:
    """Have two threads and two forked children, each forked by a thread, log long records."""
    tool = logging.getLogger("tool")
    start = threading.Barrier(4)

    def say(name: str) -> None:
        for _ in range(count):
            tool.warning(name * size)

    def say_in_child(name: str) -> None:
        pid = os.fork()
        if pid == 0:
            say(name)
            os._exit(0)
        os.waitpid(pid, 0)

    def begin(name: str) -> None:
        start.wait()
        (say if name in "ab" else say_in_child)(name)

    threads = [threading.Thread(target=begin, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


LOG_LINE = log.__code__.co_firstlineno + 10


def report(gate: str) -> None:
    aque.progress(0, 1000, "begun")
    while not os.path.exists(gate):
        time.sleep(0.01)
    for step in range(1001):
        aque.progress(step, 1000, f"step {step}")


def loop() -> None:
    while True:
        pass


def hog(megabytes: int) -> None:
    held = b"x" * (megabytes << 20)
    time.sleep(60)
    print(len(held))


HELD: list[bytes] = []


def keep_open(count: int) -> int:
    for _ in range(count):
        os.open(os.devnull, os.O_RDONLY)
    return os.getpid()


def hog_for_good(megabytes: int) -> int:
    HELD.append(b"x" * (megabytes << 20))
    return os.getpid()


def tell(number: int) -> int:
    if number % 3 == 0:
        print("out", number)
        os.write(1, b"by C %d\n" % number)
    if number % 5 == 0:
        print("err", number, file=sys.stderr)
    return number


def note(path: str, number: int, gate: str) -> None:
    with open(path, "a") as file:
        file.write(f"{number}\n")
    while gate and not os.path.exists(gate):
        time.sleep(0.01)


def leave_sometimes(number: int) -> int:
    if number % 97 == 50:
        os._exit(7)
    return number


def nap(seconds: float) -> None:
    time.sleep(seconds)


def say(descriptor: int, data: bytes) -> None:
    """Write to where only the runner itself should, and wait."""
    os.write(descriptor, data)
    time.sleep(60)


def report_oddly() -> str:
    aque.progress(float("nan"), float("inf"), 7)  # type: ignore[arg-type]
    return "alive"
