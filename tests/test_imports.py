"""What real commands load, since a command that starts slowly is not used in a loop."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from support import python

SLOW = {
    "asyncio",
    "importlib.metadata",
    "psutil",
    "subprocess",
    "concurrent.futures",
    "logging",
    "ctypes",
    "setproctitle",
    "multiprocessing",
    "email",
    "http",
    "socketserver",
    "unittest",
}

RUN = """
import sys
module, *arguments = sys.argv[1:]
sys.argv = ["aque-" + module.rpartition(".")[2], *arguments]
import importlib
status = importlib.import_module(module).main()
print("loaded", *sys.modules, file=sys.stderr)
sys.exit(status)
"""


def loaded(module: str, *arguments: str, status: int = 0) -> set[str]:
    """Return the modules that a command has loaded when it ends.

    Without `site`, since the finder of an editable install imports what aque does not.
    """
    root = Path(__file__).parent.parent
    import click

    paths = os.pathsep.join([str(root), str(Path(click.__file__).parent.parent)])
    options = {"env": {**os.environ, "PYTHONPATH": paths}, "stdin": -3}
    done = python(f"{RUN}", module, *arguments, status=status, **options)
    (line,) = re.findall("^loaded (.*)$", done.stderr, re.MULTILINE)
    return set(line.split())


def bare() -> set[str]:
    """Return what this Python loads by itself, an editable install's finder included."""
    return set(python("import sys; print(*sys.modules)").stdout.split())


def test_a_submit_loads_nothing_that_is_slow() -> None:
    found = loaded("aque.commands.submit", "true")
    assert "aque.brokers.sqlite.broker" in found
    assert not (found - bare()) & SLOW
    unused = {
        "_hashlib",
        "socket",
        "select",
        "binascii",
        "locale",
        "aque.waiting",
        "aque.listening",
    }
    acts = {f"aque.brokers.sqlite.{act}" for act in ("claim", "finish", "steer", "look", "roster")}
    assert not (found - bare()) & (unused | acts)


def test_a_submit_with_all_options_loads_nothing_that_is_slow_either() -> None:
    loaded("aque.commands.submit", "true")
    arguments = ("--after", "1", "-c", "2", "--memory", "1M", "--json", "A=1", "true")
    assert not (loaded("aque.commands.submit", *arguments) - bare()) & SLOW


def test_looking_at_the_queue_loads_nothing_that_is_slow() -> None:
    loaded("aque.commands.submit", "true")
    assert not (loaded("aque.commands.output", "1") - bare()) & (SLOW - {"ctypes"})


def test_status_loads_nothing_that_is_slow() -> None:
    loaded("aque.commands.submit", "true")
    found = loaded("aque.commands.status", "1") - bare()
    assert not found & (SLOW | {"_hashlib", "socket", "curses"})
    assert not found & {f"aque.brokers.sqlite.{act}" for act in ("claim", "finish", "steer")}


def test_xargs_loads_nothing_that_it_does_not_use() -> None:
    found = loaded("aque.commands.xargs", "true") - bare()
    assert "aque.brokers.sqlite.broker" in found
    assert not found & (
        SLOW - {"ctypes", "logging"} | {"click", "dataclasses", "inspect", "socket"}
    )
    assert not found & {f"aque.worker.{name}" for name in ("calls", "runners", "runner", "kinds")}


def test_the_help_of_a_command_does_not_touch_the_queue(own_queue: str) -> None:
    found = loaded("aque.commands.submit", "--help")
    assert "sqlite3" not in found
    assert not os.path.exists(own_queue)


def test_xargs_loads_no_click() -> None:
    code = (
        "import sys, pkgutil, importlib; import aque.commands.xargs as package;"
        "[importlib.import_module(m.name) for m in"
        " pkgutil.walk_packages(package.__path__, package.__name__ + '.')"
        " if not m.name.endswith('__main__')];"
        "print(*sys.modules)"
    )
    found = set(python(code).stdout.split())
    assert "aque.commands.xargs.getopt" in found
    assert not (found - bare()) & {"click", "asyncio", "importlib.metadata"}


def test_the_package_itself_loads_nothing_until_it_is_asked() -> None:
    found = set(python("import sys, aque; print(*sys.modules)").stdout.split()) - bare()
    assert not {name for name in found if name.startswith("aque.")}
    assert "sqlite3" not in found


@pytest.mark.parametrize(
    "name",
    ["Queue", "Future", "wait", "as_completed", "current_task", "__version__", "states", "errors"],
)  # fmt: skip
def test_every_public_name_is_there(name: str) -> None:
    code = f"import aque; aque.{name}; assert {name!r} in dir(aque)"
    assert python(code, status=None).returncode == 0
