"""The program of an aque-runner: runs Python calls, one at a time, for the worker that started it.

Descriptor 3 brings lines of JSON, each a batch of calls that share all but their arguments; 5
brings a token, the number of a call, for each that may begin. Who takes a token from that pipe has
the call: this runner runs it, or the worker has taken it back (runners.py says why). Each call is
answered by a line on 4; records of logging and progress go out on 6. Descriptors 1 and 2 are the
output of whatever call runs. It ends when 5 does. Python 3.9 and later, the standard library and
aque itself, which the worker gives by its place and nothing else.

A task's `__main__` is the script that its function is of (see names.py), so that it can start
multiprocessing, which looks there.
"""

from __future__ import annotations

import json
import os
import resource
import select
import sys
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

from aque import codec, names, patterns, proctitle, states
from aque.errors import AqueError
from aque.worker import usage
from aque.worker.home import Home
from aque.worker.imports import Imports
from aque.worker.inside import Channel
from aque.worker.remains import Remains

REQUESTS, ANSWERS, TOKENS, RECORDS = 3, 4, 5, 6
TOKEN_SIZE = 4

#: A success as JSON, in a third of the time of the json module.
_SUCCESS = "[%d,%d,%d,%d,%d,%d,%s,%s,%s]\n"
_quote = json.encoder.encode_basestring_ascii

_OURS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")

#: Loads the aque package from its own directory alone, leaving sys.path to the task.
BOOT = """
import sys
from importlib.util import module_from_spec, spec_from_file_location as spec
s = spec("aque", sys.argv[1] + "/__init__.py", submodule_search_locations=[sys.argv[1]])
m = sys.modules["aque"] = module_from_spec(s)
s.loader.exec_module(m)
del sys.path[0], s, m, spec, module_from_spec
from aque.worker import runner
runner.main()
"""


class _Request(NamedTuple):
    number: int
    common: dict[str, Any]
    id: int
    attempt: int
    args: str | None
    kwargs: str | None


def main() -> None:
    import faulthandler

    proctitle.set_comm("aque-runner")
    faulthandler.enable()
    for descriptor in (REQUESTS, ANSWERS, TOKENS, RECORDS):
        os.set_inheritable(descriptor, False)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with open(REQUESTS, "rb") as requests:
        hello = json.loads(requests.readline())
        runner = _Runner(Home(hello["mark"].encode()), Channel(RECORDS))
        for request in _requests(requests, runner.home):
            if not runner.answer(request):
                break
        requests.read()  # no call may begin here any more: wait for the worker to let go
    os._exit(0)  # whatever threads a task left behind


def _requests(requests: Any, home: Home) -> Iterator[_Request]:
    """Yield the calls whose tokens we get."""
    first, common = 0, {}
    calls: list[Any] = []
    for number in _tokens(home):
        while not first <= number < first + len(calls):
            batch = json.loads(requests.readline())
            first, common, calls = batch["first"], batch["common"], batch["calls"]
        yield _Request(number, common, *calls[number - first])


def _tokens(home: Home) -> Iterator[int]:
    poller = select.poll()
    poller.register(TOKENS, select.POLLIN)
    while True:
        try:
            token = os.read(TOKENS, TOKEN_SIZE)
        except BlockingIOError:  # the worker, which takes back tokens, cannot wait for one
            home.rest()
            poller.poll()
            continue
        if not token:
            return
        yield int.from_bytes(token, "little")


class _Runner:
    """What is kept from call to call."""

    def __init__(self, home: Home, channel: Channel) -> None:
        self.home = home
        self._channel = channel
        self._imports = Imports()
        self._pid = os.getpid()
        self._functions: dict[str, tuple[Any, ModuleType | None]] = {}
        self._patterns: dict[str, Callable[[patterns.Call], Any]] = {}
        self._before = _usage()
        self._remains = Remains(self._before)

    def answer(self, request: _Request) -> bool:
        """Run a call and answer it; say whether another may follow."""
        started_at = time.time_ns() // 1000
        try:
            self._enter(request)
            end: list[Any] = [states.SUCCESS, codec.encode(self._call(request), "result")]
        except BaseException as error:  # the border: whatever a task does, its worker is told
            end = _failure(error)
        if os.getpid() != self._pid:
            _leave(end)
        self._tell_imported()
        self._channel.end()
        _flush()
        after, before = _usage(), self._before
        self._before = after
        is_clean = not self._remains.are_many(after)
        user_time = round(1e6 * (after.ru_utime - before.ru_utime))
        system_time = round(1e6 * (after.ru_stime - before.ru_stime))
        times = (started_at, time.time_ns() // 1000, user_time, system_time)
        peak = usage.bytes_of(after.ru_maxrss)
        data = _line([request.number, *times, peak, is_clean, *end])
        self.home.restore()
        while data:
            data = data[os.write(ANSWERS, data) :]
        return is_clean

    def _enter(self, request: _Request) -> None:
        self._channel.start(request.id, request.attempt)
        self.home.enter(request.common, request.id, request.attempt)

    def _call(self, request: _Request) -> Any:
        name = request.common["pattern"]
        pattern = self._patterns.get(name)
        if pattern is None:
            pattern = self._patterns[name] = patterns.find(name)
        func, script = self._function(request.common["func"])
        if script is not None:
            sys.modules["__main__"] = sys.modules["__mp_main__"] = script
        args = codec.decode(request.args, results=_result_of) if request.args else ()
        kwargs = codec.decode(request.kwargs, results=_result_of) if request.kwargs else {}
        if self._tell_imported():  # before it runs: it may run for long, and its files be changed
            self.home.keep_settings()
        return pattern(patterns.Call(request.id, func, tuple(args), dict(kwargs)))

    def _tell_imported(self) -> bool:
        """Tell which files have been imported; say whether any were."""
        paths = self._imports.take()
        if paths:
            self._channel.tell_imported(paths)
        return bool(paths)

    def _function(self, text: str | None) -> tuple[Any, ModuleType | None]:
        """Decode what is to be called, by name once, and return it with the script it is of."""
        if text is None:
            return None, None
        found = self._functions.get(text)
        if found is None:
            func = codec.decode(text)
            found = func, names.script_of(func)
            if text.startswith('{"$name"'):
                self._functions[text] = found
        return found


def _result_of(id: int) -> Any:
    """Return the result of a task whose future stood among the arguments."""
    from aque import context, outcome

    (task,) = context.current_broker().fetch([id])
    return outcome.result(task)


def _failure(error: BaseException) -> list[Any]:
    """Return status, result, exception, error and exit status of a call that raised."""
    if isinstance(error, SystemExit):
        return _exit(error)
    import traceback

    shown = error.__traceback__  # from the task's own code on, without ours above it
    while shown is not None and shown.tb_frame.f_code.co_filename.startswith(_OURS):
        shown = shown.tb_next
    error = error.with_traceback(shown)
    if not isinstance(error, AqueError):
        _say("".join(traceback.format_exception(type(error), error, shown)), end="")
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    return [states.ERROR, None, codec.encode(error, "exception"), text, None]


def _exit(error: SystemExit) -> list[Any]:
    code = error.code
    if code is None or code == 0:
        return [states.SUCCESS, "null"]
    if not isinstance(code, int):
        _say(code)
        code = 1
    return [states.ERROR, None, None, f"ended with exit status {code & 0xFF}", code & 0xFF]


def _leave(end: list[Any]) -> NoReturn:
    """End a child that a task forked, and that came out of its function as if it were a runner."""
    _flush()
    status, *_, exit_status = end
    os._exit(0 if status == states.SUCCESS else exit_status or 1)


def _say(what: object, end: str = "\n") -> None:
    try:
        print(what, end=end, file=sys.stderr)
    except Exception:  # the task closed or replaced it
        pass


def _flush() -> None:
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except Exception:  # as above
            pass


def _line(answer: list[Any]) -> bytes:
    """Return an answer as the worker reads it (answers.py)."""
    if len(answer) != 9:  # with an exception, or an exit status
        return json.dumps(answer).encode() + b"\n"
    *numbers, is_clean, status, result = answer
    told = (*numbers, "true" if is_clean else "false", _quote(status), _quote(result))
    return (_SUCCESS % told).encode()


def _usage() -> Any:
    return resource.getrusage(resource.RUSAGE_SELF)
