"""Names of functions and classes lead back to the same object, in this process and in others."""

from __future__ import annotations

import collections
import datetime
import functools
import os
import pty
import select
import subprocess
import sys
import time
import zoneinfo
from pathlib import Path
from typing import Any

import pytest
from codec import samples

from aque import names, scripts
from aque.errors import CodecError

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}


def run(*args: object, stdin: str | None = None, cwd: Path | None = None) -> Any:
    return subprocess.run(
        [sys.executable, *map(str, args)],
        input=stdin,
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=30,
    )


def output_of(*args: object, cwd: Path | None = None) -> list[str]:
    result = run(*args, cwd=cwd)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("obj", "name"),
    [
        (samples.add, "codec.samples:add"),
        (samples.Plain, "codec.samples:Plain"),
        (samples.Plain.Inner, "codec.samples:Plain.Inner"),
        (samples.Plain.method, "codec.samples:Plain.method"),
        (samples.Plain.static, "codec.samples:Plain.static"),
        (samples.Plain.make, "codec.samples:Plain.make"),
        (samples.Child.make, "codec.samples:Child.make"),
        (samples.decorated, "codec.samples:decorated"),
        (samples.decorated.__wrapped__, "codec.samples:decorated.__wrapped__"),
        (samples.Colour, "codec.samples:Colour"),
        (len, "builtins:len"),
        (int, "builtins:int"),
        (str.upper, "builtins:str.upper"),
        (int.__add__, "builtins:int.__add__"),
        (dict.fromkeys, "builtins:dict.fromkeys"),
        (os.path.join, "posixpath:join"),
        (type(len), "types:BuiltinFunctionType"),
        (collections.OrderedDict, "collections:OrderedDict"),
        (datetime.datetime.fromisoformat, "datetime:datetime.fromisoformat"),
        (zoneinfo.ZoneInfo._unpickle, "zoneinfo:ZoneInfo._unpickle"),
    ],
)
def test_a_name_leads_back_to_the_same_object(obj: Any, name: str) -> None:
    assert names.name_of(obj) == name
    found = names.resolve(name)
    assert found is obj or found == obj


@pytest.mark.parametrize(
    ("obj", "why"),
    [
        (samples.nameless, "lambda"),
        (samples.make_local(), "inside a function"),
        (samples.Plain(1).method, "bound to one object"),
        ([].append, "bound to one object"),
        ((5).__add__, "bound to one object"),
        (functools.partial(samples.add, 1), "partial"),
        (samples.Plain(1), "only functions and classes"),
        (5, "only functions and classes"),
        (type("Dynamic", (), {}), "another object"),
    ],
)
def test_what_no_name_leads_to_is_refused_with_the_reason(obj: Any, why: str) -> None:
    with pytest.raises(CodecError, match=why):
        names.name_of(obj)


def test_a_function_that_was_replaced_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    first = samples.add
    monkeypatch.setattr(samples, "add", samples.run)
    with pytest.raises(CodecError, match="another object"):
        names.name_of(first)


@pytest.mark.parametrize(
    "name",
    ["", ":", "os", "os:", ":path", "no_such_module_xyz:f", "os:no_such", "os:path..join", "..:x",
     "os:path.<locals>.f", "/no/such/file.py:f", "\0:f", "/tmp:f"],
)  # fmt: skip
@pytest.mark.parametrize("trusted", [True, False])
def test_a_name_that_leads_nowhere_is_an_error(name: str, trusted: bool) -> None:
    with pytest.raises(CodecError):
        names.resolve(name, trusted)


def test_untrusted_names_are_found_only_in_what_is_loaded() -> None:
    assert names.resolve("codec.samples:Plain.static", trusted=False) is samples.Plain.static
    assert names.resolve("codec.samples:Child.make", trusted=False) == samples.Child.make
    assert names.resolve("builtins:dict.fromkeys", trusted=False)("a") == {"a": None}
    sys.modules.pop("this", None)
    with pytest.raises(CodecError, match="not loaded"):
        names.resolve("this:d", trusted=False)
    assert "this" not in sys.modules


def test_an_untrusted_name_runs_no_metaclass() -> None:
    samples.CALLS.clear()
    assert names.resolve("codec.samples:WithMeta.field", trusted=False) == 1
    assert samples.CALLS == []


SCRIPT = """
import sys
from aque import names

class Thing:
    class Part: pass
    @classmethod
    def make(cls): return cls()

count = 0
def work():
    global count
    count += 1
    return (__name__, count, type(Thing()).__module__)

if __name__ == "__main__":
    for obj in (work, Thing, Thing.Part, Thing.make):
        name = names.name_of(obj)
        assert names.resolve(name) == obj
        print(name)
"""
RESOLVE = """
import sys
from aque import names
for name in sys.argv[1:]:
    found = names.resolve(name)
    assert names.name_of(found) == name, names.name_of(found)
    assert names.script_of(found) is sys.modules[name.rpartition(":")[0]]
    if name.endswith(":work"):
        found(); print(*found(), sys.modules["__mp_main__"].count)
"""


def test_a_function_of_a_script_is_found_by_another_process(tmp_path: Path) -> None:
    script = tmp_path / "my script"
    script.write_text(SCRIPT)
    found = output_of("my script", cwd=tmp_path)
    assert found == [f"{script}:{name}" for name in ("work", "Thing", "Thing.Part", "Thing.make")]
    assert output_of("-c", RESOLVE, *found) == ["__mp_main__ 2 __mp_main__ 2"]


def test_two_scripts_in_one_process_do_not_mix(tmp_path: Path) -> None:
    for letter in "ab":
        (tmp_path / f"{letter}.py").write_text(
            f"class C:\n    letter = '{letter}'\ndef f(): return C.letter\n"
        )
    code = f"""
import sys
from aque import names
a, b = "{tmp_path}/a.py", "{tmp_path}/b.py"
first = names.resolve(a + ":f")
assert sys.modules["__mp_main__"].C.letter == "a"
second = names.resolve(b + ":f")
assert (first(), second()) == ("a", "b")
assert names.resolve(a + ":f") is first and sys.modules["__mp_main__"].C.letter == "a"
for path in (a, b):
    assert names.name_of(names.resolve(path + ":C")) == path + ":C"
assert names.script_of(second).__file__ == b
assert names.script_of(print) is None
"""
    output_of("-c", code)


def test_a_module_run_by_m_goes_by_its_module_name(tmp_path: Path) -> None:
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "mod.py").write_text(SCRIPT)
    assert output_of("-m", "pkg.mod", cwd=tmp_path)[0] == "pkg.mod:work"
    (package / "__main__.py").write_text(SCRIPT)
    result = run("-m", "pkg", cwd=tmp_path)
    assert "put it in another module" in result.stderr


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("import sys; sys.exit(3)", "ended the process.*__main__"),
        ("1 / 0", "ZeroDivisionError"),
        ("def (", "SyntaxError"),
        ("from aque import scripts\nassert not scripts.is_loading_script()", "AssertionError"),
    ],
)
def test_a_script_that_cannot_be_loaded_is_an_error_and_leaves_nothing(
    tmp_path: Path, body: str, why: str
) -> None:
    script = tmp_path / "bad.py"
    script.write_text(body)
    before = sys.modules.get("__mp_main__")
    for _ in range(2):
        with pytest.raises(CodecError, match=why):
            names.resolve(f"{script}:f")
    assert str(script) not in sys.modules
    assert sys.modules.get("__mp_main__") is before
    assert not scripts.is_loading_script()


TYPED = """
from aque import names
def f(): pass

class C:
    def method(self): pass

class Empty: pass

for obj in (f, C, Empty):
    try: print(names.name_of(obj))
    except Exception as error: print(type(error).__name__, error)

"""


@pytest.mark.parametrize(("args", "stdin"), [(["-c", TYPED], None), (["-"], TYPED), ([], TYPED)])
def test_what_is_typed_is_refused(args: list[str], stdin: str | None) -> None:
    lines = run(*args, stdin=stdin).stdout.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("CodecError") and "put it in a file" in line for line in lines)


def test_what_is_typed_after_a_script_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("def g(): pass\n")
    lines = run("-i", script, stdin=TYPED).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["CodecError"] * 3


def test_a_function_typed_at_a_terminal_is_refused() -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-q"], {**ENVIRONMENT, "TERM": "dumb"})
    os.write(terminal, TYPED.encode() + b"exit()\n")
    seen, deadline = b"", time.monotonic() + 20
    while seen.count(b"put it in a file") < 3 and time.monotonic() < deadline:
        if select.select([terminal], [], [], 1)[0]:
            try:
                seen += os.read(terminal, 65536)
            except OSError:  # the end, on Linux
                break
    os.close(terminal)
    os.waitpid(pid, 0)
    assert seen.count(b"put it in a file") == 3, seen.decode()


def test_an_object_that_answers_with_its_own_name_is_found() -> None:
    assert names.name_of(samples.MISSING, "MISSING") == "codec.samples:MISSING"
    assert names.name_of(..., "Ellipsis") == "builtins:Ellipsis"
    with pytest.raises(CodecError):
        names.name_of(samples.Sentinel(), "MISSING")
