"""The program of an aque-runner: runs Python tasks, one at a time, for the worker that started it.

It gets one line of JSON a task on descriptor 3 and gives one line of JSON back on descriptor 4;
descriptors 1 and 2 are the output of whatever task runs. It ends when 3 does. Python 3.9 and later,
the standard library and aque itself, which the worker gives by its place and nothing else.

A task is a guest: environment, directory, descriptors and `sys.path` are put back after each. Its
`__main__` is the script that its function is of (see names.py), so that it can start
multiprocessing, which looks there.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from base64 import b64decode
from typing import Any

from aque import codec, names, patterns, proctitle, states
from aque.errors import AqueError

REQUESTS, ANSWERS = 3, 4

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


def main() -> None:
    proctitle.set_comm("aque-runner")
    for descriptor in (REQUESTS, ANSWERS):
        os.set_inheritable(descriptor, False)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    home = _Home()
    with open(REQUESTS, "rb") as requests:
        for line in requests:
            answer = json.dumps(_run(json.loads(line))).encode() + b"\n"
            home.restore()
            while answer:
                answer = answer[os.write(ANSWERS, answer) :]
    os._exit(0)  # whatever threads a task left behind


class _Home:
    """What this process was before its first task, and is again after each."""

    def __init__(self) -> None:
        self._main = sys.modules["__main__"]
        self._streams = (sys.stdout, sys.stderr)
        self._path = list(sys.path)
        self._environ = dict(os.environ)
        self._descriptors = {number: _keep(number) for number in (0, 1, 2)}

    def restore(self) -> None:
        sys.modules["__main__"] = self._main
        sys.stdout, sys.stderr = self._streams
        sys.path[:] = self._path
        for number, kept in self._descriptors.items():
            os.dup2(kept, number)
        for key in os.environ.keys() - self._environ.keys():
            del os.environ[key]
        os.environ.update(self._environ)
        os.chdir("/")


def _keep(number: int) -> int:
    """Duplicate a descriptor to where no task's own come."""
    import fcntl

    return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10)


def _run(request: dict[str, Any]) -> dict[str, Any]:
    before = os.times()
    try:
        _prepare(request)
        answer: dict[str, Any] = {
            "status": states.SUCCESS,
            "result": codec.encode(_call(request), "result"),
        }
    except BaseException as error:  # the border: whatever a task does, its worker is told
        answer = _failure(error)
    _flush()
    after = os.times()
    answer["user_time"] = after.user - before.user
    answer["system_time"] = after.system - before.system
    answer["max_rss"] = _max_rss()
    answer["is_clean"] = _is_clean()
    return answer


def _prepare(request: dict[str, Any]) -> None:
    os.environ.update(request["environ"])
    sys.argv[:] = [""]
    if request["umask"] is not None:
        os.umask(request["umask"])
    if request["cwd"] is not None:
        os.chdir(request["cwd"])
    path = request["import_path"]
    if path is not None and path not in sys.path:
        sys.path.insert(0, path)
    _redirect(request)


def _redirect(request: dict[str, Any]) -> None:
    if request["stdin_value"] is not None:
        import tempfile

        with tempfile.TemporaryFile() as file:
            file.write(b64decode(request["stdin_value"]))
            file.seek(0)
            os.dup2(file.fileno(), 0)
    else:
        _put(0, request["stdin"] or os.devnull, os.O_RDONLY)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    writing = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    out, err = request["stdout"], request["stderr"]
    if out is not None:
        _put(1, out, writing)
    if err is not None and err == out:
        os.dup2(1, 2)
    elif err is not None:
        _put(2, err, writing)


def _put(number: int, path: str, flags: int) -> None:
    """Open a file as this descriptor."""
    opened = os.open(path, flags | os.O_NOCTTY, 0o666)
    os.dup2(opened, number)
    os.close(opened)


def _call(request: dict[str, Any]) -> Any:
    pattern = patterns.find(request["pattern"])
    func = codec.decode(request["func"]) if request["func"] else None
    script = names.script_of(func)
    if script is not None:
        sys.modules["__main__"] = script
    args = codec.decode(request["args"]) if request["args"] else ()
    kwargs = codec.decode(request["kwargs"]) if request["kwargs"] else {}
    return pattern(patterns.Call(request["id"], func, tuple(args), dict(kwargs)))


def _failure(error: BaseException) -> dict[str, Any]:
    if isinstance(error, SystemExit):
        return _exit(error)
    import traceback

    shown = error.__traceback__  # from the task's own code on, without ours above it
    while shown is not None and shown.tb_frame.f_code.co_filename.startswith(_OURS):
        shown = shown.tb_next
    error = error.with_traceback(shown)
    if not isinstance(error, AqueError):
        traceback.print_exception(type(error), error, shown)
    return {
        "status": states.ERROR,
        "exception": codec.encode(error, "exception"),
        "error": "".join(traceback.format_exception_only(type(error), error)).strip(),
    }


def _exit(error: SystemExit) -> dict[str, Any]:
    code = error.code
    if code is None or code == 0:
        return {"status": states.SUCCESS, "result": "null"}
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    text = f"ended with exit status {code & 0xFF}"
    return {"status": states.ERROR, "exit_status": code & 0xFF, "error": text}


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass  # the task closed or replaced it


def _max_rss() -> int | None:
    import resource

    from aque.worker import usage

    return usage.of(resource.getrusage(resource.RUSAGE_SELF)).max_rss


def _is_clean() -> bool:
    """Whether the task left neither threads nor children behind, so that another may follow."""
    if threading.active_count() > 1 or sys.__stdout__.closed or sys.__stderr__.closed:  # type: ignore[union-attr]
        return False
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False
