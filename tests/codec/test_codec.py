"""Values come back as they were, refusals say where, and hostile text stays inert."""

from __future__ import annotations

import collections
import copy
import datetime
import decimal
import enum
import fractions
import functools
import ipaddress
import json
import math
import os
import pathlib
import re
import shutil
import string
import subprocess
import sys
import threading
import traceback
import types
import uuid
import zoneinfo
from pathlib import Path
from typing import Any

import pytest
from codec import samples  # type: ignore[attr-defined]
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aque import codec
from aque.errors import CodecError, RemoteError

ROOT = Path(__file__).parents[2]
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
quick = settings(
    derandomize=True, deadline=None, max_examples=200, suppress_health_check=list(HealthCheck)
)


def round_trip(value: Any) -> Any:
    text = codec.encode(value)
    assert text.isascii()
    return codec.decode(text)


def same(a: Any, b: Any) -> bool:
    """Tell whether two values are equal in type too, all the way down, nan included."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return repr(a) == repr(b)
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    if isinstance(a, (datetime.datetime, datetime.time)):
        return a == b and a.fold == b.fold and repr(a.tzinfo) == repr(b.tzinfo)
    return bool(a == b)


PLAIN = [None, True, 0, -1, 10**600, 1.5, -0.0, 1e308, "", "text", "é😀", "\ud800", "\x00", [], {},
         [1, [2]], {"a": {"b": [None]}}, {"": 1}, {"a$": 1}]  # fmt: skip


@pytest.mark.parametrize("value", PLAIN, ids=ascii)
def test_plain_values_are_plain_json(value: Any) -> None:
    text = codec.encode(value)
    assert json.loads(text) == value
    assert same(codec.decode(text), value)


VALUES = [
    float("nan"), float("inf"), float("-inf"), 10**5000, -(2**2001), 1j, complex("nan-infj"),
    complex(-0.0, 0.0), "\ud83d\ude00", "a\udbff\udfff\ud800\udc00b", b"", b"\0\xff",
    bytearray(b"abc"), (), (1,), (1, (2, [3])), set(), {1, "a", (2, None)}, frozenset({b"x"}),
    {1: 2}, {"$tuple": []}, {"$a": 1, "b": 2}, {(1, 2): {None: 3}}, {"\ud83d\ude00": 1},
    {1: "a", "1": "b"}, {frozenset({1}): 1},
    datetime.datetime(2024, 2, 29, 1, 2, 3, 4), datetime.datetime.min, datetime.datetime.max,
    datetime.datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1),
    datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=5.5), "X")),
    datetime.datetime(1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(microseconds=-1))),
    datetime.date(1, 1, 1), datetime.time(1, 2, 3, 4, fold=1), datetime.time(1, tzinfo=BERLIN),
    datetime.timedelta(-1, 5, 7), datetime.timedelta.max, datetime.UTC, BERLIN,
    pathlib.Path("a/../b"), pathlib.Path("/"), pathlib.PurePosixPath(),
    pathlib.Path("\udcff\ud83d"),
    pathlib.PureWindowsPath("c:\\x\\y"), pathlib.PurePosixPath("/x"),
    samples.Colour.RED, samples.Colour.ALSO_RED, samples.Colour.ODD, samples.Level.LOW,
    samples.Name.A, samples.Access.R, samples.Access.R | samples.Access.X, samples.Access(0),
    re.I | re.M, samples.Data([1, (2,)], 3), samples.Frozen(1, {"a": (1,)}),
    samples.FrozenSlotted(1, samples.Frozen(2)), samples.OwnState(3),
    samples.Text("x"), samples.Number(5), samples.Items([1, 2]), samples.Table(a=1),
    samples.Point(1, (2,)), samples.KeywordOnly.__new__(samples.KeywordOnly, 1, 2, unit="m"),
    samples.Plain([1]), samples.Slotted(1), samples.Stateful({"a": 1}),
    collections.OrderedDict([("b", 1), ("a", 2)]), collections.Counter("aab"),
    collections.defaultdict(list, a=[1]), collections.deque([1, 2], maxlen=3),
    decimal.Decimal("1.50"), fractions.Fraction(1, 3), uuid.UUID(int=5), range(1, 9, 2),
    slice(1, 2),
    ipaddress.ip_address("::1"), re.compile("a+", re.I), types.SimpleNamespace(a=(1,)),
    list[int],
    samples.add, samples.Plain, samples.Child.make, len, int, str.upper,
    datetime.datetime.fromisoformat, type(None), zoneinfo.ZoneInfo._unpickle,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_equal_and_of_the_same_type(value: Any) -> None:
    assert same(round_trip(value), value)
    assert same(round_trip([{"k": (value,)}]), [{"k": (value,)}])


@pytest.mark.parametrize("value", [..., NotImplemented, samples.MISSING, samples.Colour.RED])
def test_what_exists_once_stays_one(value: Any) -> None:
    assert round_trip(value) is value


def test_a_subclass_of_a_dataclass_on_a_dict_keeps_items_and_fields() -> None:
    value = samples.OfDict(x=3)
    value["a"] = (1,)
    made = round_trip(value)
    assert type(made) is samples.OfDict
    assert (dict(made), made.x) == ({"a": (1,)}, 3)


def test_a_dataclass_is_made_without_its_constructor_and_keeps_what_it_added() -> None:
    value = samples.Data(1, 4)
    value.extra = {"a"}
    samples.CALLS.clear()
    made = round_trip(value)
    assert samples.CALLS == []
    assert (made.cached, made.extra) == (8, {"a"})


def test_a_slot_that_was_never_set_stays_unset() -> None:
    value = object.__new__(samples.FrozenSlotted)
    object.__setattr__(value, "x", 1)
    made = round_trip(value)
    assert made.x == 1
    assert not hasattr(made, "y")


def test_partials_and_bound_methods_are_values_made_of_names() -> None:
    assert round_trip(functools.partial(samples.add, 1, b=5))() == 6
    assert round_trip(samples.Plain((1,)).method)() == (1,)


def test_a_zone_made_from_a_file_is_refused() -> None:
    with open(f"{zoneinfo.TZPATH[0]}/Europe/Berlin", "rb") as file:
        zone = zoneinfo.ZoneInfo.from_file(file)
    with pytest.raises(CodecError, match=r"args\[0\]: "):
        codec.encode([zone], "args")


def test_numpy_values_come_back() -> None:
    numpy = pytest.importorskip("numpy")
    for scalar in (numpy.float64(1.5), numpy.int8(3), numpy.bool_(True), numpy.str_("é"),
                   numpy.datetime64("2024-01-01"), numpy.complex64(1j)):  # fmt: skip
        made = round_trip(scalar)
        assert made == scalar
        assert type(made) is type(scalar)
    for array in (numpy.arange(12.0).reshape(3, 4).T, numpy.array([]), numpy.array(["a", "bc"]),
                  numpy.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
                  numpy.array([None, (1,)], dtype=object)):  # fmt: skip
        made = round_trip(array)
        assert made.dtype == array.dtype
        assert made.shape == array.shape
        assert (made == array).all()
    assert round_trip(numpy.dtype("f4")) == numpy.dtype("f4")
    assert round_trip(numpy.add) is numpy.add
    assert round_trip(numpy.float64) is numpy.float64


LOCAL = samples.make_local()


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ([0, 1, {"key": LOCAL}], "args[2]['key']"),
        (LOCAL, "args"),
        ((LOCAL,), "args[0]"),
        ({1: LOCAL}, "args[1]"),
        ({1: {10**9999: LOCAL}}, "args[1][<int>]"),
        ({LOCAL: 1}, "args[<function"),
        ({"a": {"$b": LOCAL}}, "args['a']['$b']"),
        (samples.Data(LOCAL), "args.x"),
        (samples.Plain({"k": [LOCAL]}), "args.x['k'][0]"),
        (samples.Slotted(LOCAL), "args.x"),
        (samples.Point(1, LOCAL), "args[1]"),
        (samples.Items([LOCAL]), "args[0]"),
        (samples.Table(k=LOCAL), "args['k']"),
        (threading.Lock(), "args"),
        ([(i for i in ())], "args[0]"),
        (sys, "args"),
        ([sys.stdout], "args[0]"),
        (type("Dynamic", (), {})(), "args"),
        ([samples.Liar((int, None))], "args[0]"),
        ([samples.Liar(5)], "args[0]"),
        ([samples.Liar((int, (), None, 5))], "args"),
    ],
    ids=lambda value: value if type(value) is str else type(value).__name__,
)
def test_a_refusal_names_the_place(value: Any, where: str) -> None:
    with pytest.raises(CodecError) as caught:
        codec.encode(value, "args")
    assert str(caught.value).startswith(where)
    assert ": " in str(caught.value)


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: Any = [1]
    loop.append({"a": loop})
    with pytest.raises(CodecError, match=r"^value\[1\]\['a'\]: it contains itself"):
        codec.encode(loop)
    thing = samples.Plain(None)
    thing.x = thing
    with pytest.raises(CodecError, match=r"^value\.x: it contains itself"):
        codec.encode(thing)
    twice = [1]
    assert round_trip([twice, twice]) == [[1], [1]]


def test_a_value_nested_too_deeply_is_refused_and_any_other_comes_back() -> None:
    value: Any = 1
    for _ in range(98):
        value = samples.Plain(value)
    assert round_trip([value]) == [value]  # the class, at the bottom, is the hundredth
    with pytest.raises(CodecError, match="nested more than"):
        codec.encode([[value]])


def test_a_registered_type_uses_its_form_and_is_found_by_import(tmp_path: Path) -> None:
    codec.register(samples.Celsius, "celsius", lambda c: (c.degrees,), make_celsius)
    text = codec.encode([samples.Celsius(20.5)])
    assert codec.decode(text)[0].degrees == 20.5
    with pytest.raises(CodecError, match="own user"):
        codec.decode(text, trusted=False)
    with pytest.raises(CodecError, match="already"):
        codec.register(int, "int", str, int)
    with pytest.raises(CodecError, match="already"):
        codec.register(samples.Plain, "celsius", str, samples.Plain)
    (tmp_path / "shapes.py").write_text(
        "from aque import codec\n"
        "class Shape:\n    def __init__(self, n): self.n = n\n"
        "def make(n): return Shape(n)\n"
        "codec.register(Shape, 'shape', lambda s: s.n, make)\n"
    )
    encoded = run(tmp_path, "import shapes\nprint(codec.encode(shapes.Shape(3)))")
    assert run(tmp_path, f"print(codec.decode({encoded.strip()!r}).n)") == "3\n"


def make_celsius(parts: Any) -> samples.Celsius:
    return samples.Celsius(*parts)


def run(folder: Path, code: str) -> str:
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(folder)])
    return subprocess.run(
        [sys.executable, "-c", f"import sys\nfrom aque import codec\n{code}"],
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_objects_of_a_script_come_back_in_another_process(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import dataclasses, enum\n"
        "from aque import codec\n"
        "@dataclasses.dataclass\nclass D:\n    x: object\n"
        "class E(enum.Enum):\n    A = 1\n"
        "class Bad(Exception):\n    def __init__(self, a, b): self.a = a\n"
        "class P:\n    pass\n"
        "if __name__ == '__main__':\n"
        "    print(codec.encode([D(E.A), P(), Bad(1, b=2), D]))\n"
    )
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    text = subprocess.run(
        [sys.executable, script], env={**os.environ, "PYTHONPATH": path}, check=True,
        capture_output=True, text=True,
    ).stdout  # fmt: skip
    shown = run(tmp_path, f"d, p, bad, D = codec.decode({text!r})\nprint(d, bad.a, type(d) is D)")
    assert shown == "D(x=<E.A: 1>) 1 True\n"


def test_importing_the_codec_imports_nothing_slow() -> None:
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from aque import codec
codec.decode(codec.encode([1, "a", (2,), {{"x": 1.5}}]))
slow = {{"dataclasses", "datetime", "pathlib", "inspect", "traceback", "aque.codec.forms"}}
print(sorted(slow & set(sys.modules)))
"""
    shown = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True)
    assert shown.stdout == "[]\n", shown.stderr


def test_other_pythons_read_the_same_text() -> None:
    python = shutil.which("python3.9")
    if python is None or subprocess.run([python, "-c", ""], check=False).returncode:
        pytest.skip("needs another Python")
    values = [(1, 2), {1: 2}, samples.add, datetime.datetime(2024, 1, 1, tzinfo=BERLIN),
              pathlib.Path("x"), decimal.Decimal(1), ValueError("v"), re.I | re.M]  # fmt: skip
    code = f"""
from aque import codec
text = {codec.encode(values)!r}
print(codec.encode(codec.decode(text)))
"""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    result = subprocess.run(
        [python, "-c", code.replace("codec.samples", "operator")],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert repr(codec.decode(result.stdout)[:2]) == repr(values[:2])


# Exceptions


EXCEPTIONS = [
    ValueError("a", 1), KeyError("k"), FileNotFoundError(2, "no", "a", None, "b"),
    OSError("only text"), BlockingIOError(11, "again", 5), ImportError("m", name="n", path="p"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "why"), SystemExit(3), KeyboardInterrupt(),
    SyntaxError("bad", ("f", 1, 2, "text", 1, 3)), StopIteration((1,)), samples.SlottedError(4),
    samples.NeedsArguments(5, reason="r"), samples.TwoArguments(1, 2), samples.OwnOSError("p"),
    json.JSONDecodeError("m", "doc", 2), RemoteError("x.Y", "message"), CodecError("c"),
    subprocess.CalledProcessError(1, ["a"], b"out"),
]  # fmt: skip


@pytest.mark.parametrize("exc", EXCEPTIONS, ids=repr)
@pytest.mark.parametrize("is_raised", [False, True])
def test_an_exception_comes_back_with_all_its_fields(exc: BaseException, is_raised: bool) -> None:
    if is_raised:
        exc = samples.raised(copy_of(exc))
    made = round_trip(exc)
    assert type(made) is type(exc)
    assert made.args == exc.args
    assert str(made) == str(exc)
    assert vars(made) == vars(exc)
    for field in ("errno", "strerror", "filename", "filename2", "characters_written", "name",
                  "path", "encoding", "object", "start", "end", "reason", "code", "lineno",
                  "text", "msg", "value", "end_offset"):  # fmt: skip
        assert getattr(made, field, None) == getattr(exc, field, None), field


def copy_of(exc: BaseException) -> BaseException:
    try:
        return copy.copy(exc)
    except TypeError:
        return exc


def test_the_remote_traceback_is_shown_as_the_cause() -> None:
    made = round_trip(samples.raised(ValueError("v")))
    shown = "".join(traceback.format_exception(made))
    assert shown.count("samples.py") == 1
    assert "Traceback" in str(made.__cause__)
    assert type(made.__cause__).__name__ == "RemoteTraceback"
    assert made.__suppress_context__ is False
    again = round_trip(made)
    assert str(again.__cause__) == str(made.__cause__)
    assert round_trip(ValueError("never raised")).__cause__ is None


def test_chains_come_back_and_show_the_remote_text() -> None:
    def chain() -> None:
        try:
            try:
                raise KeyError("first")
            except KeyError as error:
                raise samples.NeedsArguments(1, reason="second") from error
        except samples.NeedsArguments:
            raise ValueError("third")  # noqa: B904

    try:
        chain()
    except ValueError as error:
        made = round_trip(error)
    second = made.__context__
    assert type(second) is samples.NeedsArguments
    assert type(second.__cause__) is KeyError
    assert second.__context__ is second.__cause__
    assert second.__suppress_context__
    assert not made.__suppress_context__
    shown = "".join(traceback.format_exception(made))
    for word in ("first", "second", "third", "in chain", "The above exception"):
        assert word in shown


def test_an_explicit_cause_stays_and_the_remote_text_is_beneath_it() -> None:
    error = ValueError("top")
    error.__cause__ = KeyError("cause")
    made = round_trip(samples.raised(error))
    assert type(made.__cause__) is KeyError
    assert "samples.py" in "".join(traceback.format_exception(made))
    again = round_trip(samples.raised(made))
    assert type(again.__cause__) is KeyError
    assert again.__cause__.__cause__.args[0].count("in raised") == 2


def test_circular_and_very_long_chains_come_back() -> None:
    a, b = ValueError("a"), ValueError("b")
    a.__cause__, b.__cause__ = b, a
    made = round_trip(a)
    assert made.__cause__.__cause__ is made
    first = last = ValueError("0")
    for number in range(1, 500):
        last.__cause__ = last.__context__ = ValueError(str(number))
        last = last.__cause__
    assert str(round_trip(first).__cause__.__cause__) == "2"


def test_notes_and_groups_come_back() -> None:
    error = ValueError("v")
    error.add_note("a note")
    group = ExceptionGroup(
        "g", [error, ExceptionGroup("h", [samples.NeedsArguments(1, reason="")])]
    )
    made = round_trip(samples.raised(group))
    assert type(made) is ExceptionGroup
    assert made.message == "g"
    assert made.exceptions[0].__notes__ == ["a note"]
    assert made.exceptions[1].exceptions[0].code == 1


def test_an_exception_of_a_local_class_is_its_nearest_base_and_says_so() -> None:
    class LocalOSError(samples.OwnOSError):
        pass

    class LocalError(Exception):
        pass

    made = round_trip(LocalOSError("p"))
    assert type(made) is samples.OwnOSError
    assert (made.filename, made.extra) == ("p", "P")
    assert "LocalOSError" in made.__notes__[0]
    made = round_trip(LocalError("text"))
    assert type(made) is RemoteError
    assert made.type_name.endswith("LocalError")
    assert made.message == "text"


def test_an_exception_with_what_has_no_text_form_keeps_its_type_and_message() -> None:
    made = round_trip(ValueError(LOCAL))
    assert type(made) is ValueError
    assert str(made) == str(ValueError(LOCAL))
    made = round_trip(KeyError(LOCAL))
    assert type(made) is RemoteError
    assert made.type_name == "KeyError"
    error = samples.NeedsArguments(1, reason="r")
    error.lock = threading.Lock()  # type: ignore[attr-defined]
    made = round_trip(error)
    assert (made.code, hasattr(made, "lock")) == (1, False)
    assert ".lock" in made.__notes__[0]
    inside = ValueError()
    inside.args = (inside,)
    assert type(round_trip(inside)) is ValueError
    assert type(round_trip(samples.raised(samples.Unprintable()))) is samples.Unprintable


def test_an_exception_whose_class_is_gone_is_stood_in_for() -> None:
    text = codec.encode(samples.raised(samples.NeedsArguments(1, reason="r")))
    gone = text.replace("codec.samples:", "codec.gone:")
    for trusted in (True, False):
        made = codec.decode(gone, trusted=trusted)
        assert type(made) is RemoteError
        assert str(made) == "codec.samples.NeedsArguments: 1: r"
        assert "Traceback" in str(made.__cause__)


def test_decoding_an_exception_does_not_call_its_class() -> None:
    text = codec.encode(samples.TrapError("a", 1))
    samples.CALLS.clear()
    for trusted in (True, False):
        assert codec.decode(text, trusted).args == ("a", 1)
    assert samples.CALLS == []


# Hypothesis: any value comes back

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers()
    | st.text(st.characters()) | st.text(st.characters(categories=["Cs"])) | st.binary()
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.dates() | st.times() | st.timedeltas()
    | st.sampled_from([*samples.Colour, *samples.Access, samples.add, int, pathlib.Path("p")])
    | st.builds(samples.Access, st.integers(0, 7)) | st.decimals(allow_nan=False)
    | st.integers(-(10**1000), 10**1000)
)  # fmt: skip
hashables = st.recursive(
    scalars.filter(lambda v: v == v and not isinstance(v, decimal.Decimal)),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
keys = st.text(max_size=4) | st.sampled_from(["$tuple", "$dict", "$reduce", "$"]) | hashables


def containers(inner: Any) -> Any:
    return (
        st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4) | st.sets(hashables, max_size=4)
        | st.builds(samples.Data, inner) | st.builds(samples.Frozen, inner)
        | st.builds(samples.FrozenSlotted, inner, inner) | st.builds(samples.Plain, inner)
        | st.builds(samples.Point, st.integers(), inner)
        | st.lists(inner, max_size=3).map(samples.Items)
        | st.dictionaries(keys, inner, max_size=3).map(collections.OrderedDict)
    )  # fmt: skip


@quick
@given(st.recursive(scalars, containers, max_leaves=12))
def test_any_value_comes_back(value: Any) -> None:
    made = round_trip(value)
    assert type(made) is type(value)
    assert codec.encode(made) == codec.encode(value) or made == value


@quick
@given(
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=8,
    )
)
def test_any_value_of_built_in_types_comes_back_the_same(value: Any) -> None:
    assert same(round_trip(value), value)


@quick
@given(
    st.builds(ValueError, scalars, scalars)
    | st.builds(samples.NeedsArguments, st.integers(), reason=st.text())
    | st.builds(OSError, st.integers(1, 40), st.text(), st.text())
)
def test_any_exception_comes_back(exc: BaseException) -> None:
    made = round_trip(samples.raised(exc))
    assert type(made) is type(exc)
    assert codec.encode(made.args) == codec.encode(exc.args)


# Hostile text

TAGS = ["$int", "$float", "$complex", "$str", "$bytes", "$bytearray", "$tuple", "$set",
        "$frozenset", "$dict", "$datetime", "$time", "$date", "$timedelta", "$timezone", "$zone",
        "$path", "$enum", "$flag", "$dataclass", "$exception", "$name", "$type", "$reduce", "$",
        "$unknown"]  # fmt: skip
RUNNING = ("$type", "$reduce")
NAMES = [f"codec.samples:{name}" for name in vars(samples) if name[0] != "_"] + [
    "builtins:OSError", "builtins:ExceptionGroup", "builtins:UnicodeDecodeError",
    "builtins:BlockingIOError", "builtins:SyntaxError", "builtins:ImportError", "builtins:exit",
    "builtins:dict", "os:system", "os:environ", "sys:modules", "re:RegexFlag", "enum:Enum",
    "antigravity:fly", "this:s", "no:such", ":", "/etc/passwd:x", "codec.samples:Plain.method",
    "codec.samples:WithMeta.field", "datetime:tzinfo", "builtins:BaseException", "enum:Flag",
]  # fmt: skip
json_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5) | st.sampled_from(NAMES) | st.integers(-(10**30), 10**30)
    | st.sampled_from(["nan", "0x1f", "YQ==", "2024-01-01", "2024-01-01T00:00:00", "12:00",
                       "PosixPath", "WindowsPath", "Europe/Berlin", "../../etc/passwd", "tzdata/x",
                       "A", "R", "RED", "x", "__class__", "__dict__", "args"])
)  # fmt: skip


def form(tag: str, payload: Any) -> dict[str, Any]:
    return {tag: payload}


def forms(inner: Any) -> Any:
    named = st.sampled_from(NAMES)
    fields = st.dictionaries(
        st.sampled_from(["x", "y", "more", "__class__", "__dict__", "name", "args", "__notes__",
                         "__cause__", "errno", "z"]), inner, max_size=3)  # fmt: skip
    record = st.fixed_dictionaries(
        {"type": st.just("T"), "text": st.just("t")},
        optional={"class": named, "args": st.lists(inner, max_size=5), "state": fields,
                  "cause": st.integers(-1, 2), "context": st.integers(-1, 2),
                  "suppress": st.booleans()},
    )  # fmt: skip
    exception = st.fixed_dictionaries(
        {"chain": st.lists(record, max_size=3)}, optional={"traceback": st.text(max_size=3)}
    )
    return (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*TAGS, "a", "b"]), inner, max_size=2)
        | st.builds(form, st.sampled_from(TAGS), inner | st.lists(inner, max_size=3))
        | st.tuples(named, fields).map(lambda p: {"$dataclass": list(p)})
        | st.tuples(named, inner).map(lambda p: {"$enum": list(p)})
        | st.tuples(named, st.integers()).map(lambda p: {"$flag": list(p)})
        | st.builds(form, st.sampled_from(["$set", "$frozenset"]), st.lists(inner, max_size=3))
        | st.lists(st.tuples(inner, inner), max_size=2).map(lambda p: {"$dict": list(map(list, p))})
        | exception.map(lambda p: {"$exception": p})
        | st.lists(st.integers(), min_size=3, max_size=3).map(lambda p: {"$timedelta": p})
        | st.fixed_dictionaries({}, optional={"call": inner, "args": inner, "state": inner,
                                              "items": inner, "pairs": inner, "setter": inner})
        .map(lambda p: {"$reduce": p})
    )  # fmt: skip


trees = st.recursive(json_scalars, forms, max_leaves=15)


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of what is imported past what is loaded: nothing must be."""
    asked: list[str] = []

    class Watch:
        @staticmethod
        def find_spec(name: str, *args: object) -> None:
            asked.append(name)

    import aque.codec.forms  # our own, loaded when first needed
    import aque.codec.inert  # noqa: F401

    monkeypatch.setattr(sys, "meta_path", [Watch, *sys.meta_path])
    return asked


@settings(quick, max_examples=500)
@given(trees)
def test_hostile_text_gives_a_value_or_an_error_and_calls_nothing(
    imports: list[str], tree: Any
) -> None:
    text = json.dumps(tree)
    samples.CALLS.clear()
    try:
        codec.decode(text, trusted=False)
    except CodecError:
        pass
    assert samples.CALLS == []
    assert imports == []


def has_running_form(tree: Any) -> bool:
    if isinstance(tree, list):
        return any(map(has_running_form, tree))
    if isinstance(tree, dict):
        return any(tag in tree for tag in RUNNING) or any(map(has_running_form, tree.values()))
    return False


@settings(quick, max_examples=300)
@given(trees.filter(lambda tree: not has_running_form(tree)))
def test_malformed_text_of_ones_own_is_an_error_too(tree: Any) -> None:
    try:
        codec.decode(json.dumps(tree))
    except CodecError:
        pass


@quick
@given(st.text() | st.text(string.printable) | st.text('[]{}":,$0123456789eE.-\\u'))
def test_any_text_gives_a_value_or_an_error(text: str) -> None:
    for trusted in (True, False):
        try:
            codec.decode(text, trusted)
        except CodecError:
            pass


def reduce_form(call: Any = None, args: Any = (), **parts: Any) -> dict[str, Any]:
    return {"$reduce": {"call": call, "args": list(args), **parts}}


RUN = {"$name": "codec.samples:run"}
RUNS = [
    reduce_form(RUN), {"$reduce": "codec.samples:run"}, [{"$unknown": 1}, reduce_form(RUN)],
    {"$exception": {"chain": [{"args": [reduce_form(RUN)]}]}}, {"a": {"b": [reduce_form(RUN)]}},
    {"$dict": [[1, reduce_form(RUN)]]}, {"$name": "no:such", "$reduce": 1},
    {"$type": ["a", "os", 1]},
]  # fmt: skip


@pytest.mark.parametrize("tree", RUNS, ids=json.dumps)
def test_running_forms_are_refused_before_anything_else(imports: list[str], tree: Any) -> None:
    samples.CALLS.clear()
    with pytest.raises(CodecError, match="own user"):
        codec.decode(json.dumps(tree), trusted=False)
    assert samples.CALLS == []
    assert imports == []


def data(name: str, **fields: Any) -> dict[str, Any]:
    return {"$dataclass": [f"codec.samples:{name}", fields]}


def exception(name: str, *args: Any, **state: Any) -> dict[str, Any]:
    record = {"type": "T", "text": "t", "class": name, "args": list(args), "state": state}
    return {"$exception": {"chain": [record], "traceback": "text"}}


TRAPS = [
    {"$set": [data("Trap"), data("Trap")]}, {"$set": [{"$tuple": [data("Trap")]}]},
    {"$dict": [[data("Trap"), 1], [data("Trap"), 2]]}, {"$frozenset": [data("Frozen", x=1)]},
    exception("builtins:BlockingIOError", 1, "a", data("Trap")),
    exception("builtins:OSError", data("Trap"), data("Trap"), data("Trap")),
    exception("builtins:ExceptionGroup", "m", data("Trap")),
    exception("builtins:SyntaxError", "m", data("Trap")),
    exception("builtins:UnicodeDecodeError", "a", data("Trap"), data("Trap"), 1, "r"),
    exception("codec.samples:TrapError", 1, x=data("Trap")), data("Bomb"), data("Bomb", x=1),
    {"$flag": ["codec.samples:OddFlag", 3]},
    {"$flag": ["re:RegexFlag", {"$int": "0x" + "f" * 5000}]},
    {"$enum": ["codec.samples:Colour", "__class__"]}, {"$name": "antigravity:fly"},
    {"$dataclass": ["antigravity:Fly", {}]}, {"$zone": "../../../etc/passwd"},
    {"$zone": "Nowhere/Here"}, {"$dataclass": ["codec.samples:WithMeta", {}]},
    data("WithMetaData", x=1), exception("codec.samples:WithMetaError"), data("Data", method=1),
    data("Data", __class__=RUN), data("Data", x=1, __dict__={}),
]  # fmt: skip


@pytest.mark.parametrize("tree", TRAPS, ids=lambda tree: json.dumps(tree)[:60])
def test_traps_are_not_sprung(imports: list[str], tree: Any) -> None:
    samples.CALLS.clear()
    try:
        made = codec.decode(json.dumps(tree), trusted=False)
        del made
    except CodecError:
        pass
    assert samples.CALLS == []
    assert imports == []


BAD = [
    "", "{", "nul", "NaN", "[Infinity]", "1" * 5000, "[" * 100_000, '{"a":' * 100_000,
    '{"$tuple":[' * 300 + "]}" * 300, '{"$set":[[]]}', '{"$dict":[[[],1]]}', '{"$dict":[[1]]}',
    '{"$dict":1}', '{"$tuple":1}', '{"$bytes":"?"}', '{"$bytes":"YQ"}', '{"$bytes":"é"}',
    '{"$unknown":1}', '{"$tuple":[],"a":1}', '{"$timedelta":[9999999999,0,0]}',
    '{"$datetime":["x",0,null]}', '{"$datetime":["2024-01-01",0,5]}', '{"$date":"2024-13-01"}',
    '{"$datetime":["2024-01-01",7,null]}', '{"$timezone":[[5,0,0]]}', '{"$float":"5"}',
    '{"$int":"99"}', '{"$complex":[1,2]}', '{"$enum":["builtins:int","A"]}', '{"$str":[1]}',
    '{"$enum":["codec.samples:Colour","BLUE"]}', '{"$flag":["codec.samples:Colour",1]}',
    '{"$flag":["codec.samples:Access",1000]}', '{"$dataclass":["builtins:dict",{}]}',
    '{"$dataclass":["codec.samples:OfDict",{}]}', '{"$dataclass":["codec.samples:Data",[]]}',
    '{"$dataclass":["codec.samples:FrozenSlotted",{"z":1}]}', '{"$name":"sys:modules"}',
    '{"$name":1}', '{"$name":"x"}', '{"$path":["Path","x"]}', '{"$path":["WindowsPath","x"]}',
    '{"$exception":{"chain":[]}}', '{"$exception":{"chain":[{"class":"builtins:int"}]}}',
    '{"$exception":{"chain":[{"type":"a","text":"b","cause":5}]}}', '{"$exception":[]}',
    '{"$exception":{"chain":[{"class":"builtins:ExceptionGroup","args":["m",[]]}]}}',
]  # fmt: skip


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:40])
def test_text_that_is_no_value_is_an_error(text: str, trusted: bool) -> None:
    with pytest.raises(CodecError):
        codec.decode(text, trusted)


@pytest.mark.parametrize(
    "tree",
    [
        reduce_form(), reduce_form(5), reduce_form({"$name": "sys:modules"}), {"$reduce": []},
        reduce_form({"$name": "builtins:int"}, ["x"]), {"$reduce": {"call": RUN}},
        reduce_form({"$name": "builtins:list"}, items=5), {"$reduce": "no:such"},
        reduce_form({"$name": "builtins:dict"}, pairs=[[1]]), {"$reduce": {"call": RUN, "args": 5}},
        reduce_form({"$name": "builtins:object"}, state={"a": 1}), {"$type": ["none", None, 1]},
        reduce_form({"$name": "builtins:object"}, state=1, setter=5), {"$type": 1},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_a_malformed_reduce_form_of_ones_own_is_an_error(tree: Any) -> None:
    with pytest.raises(CodecError):
        codec.decode(json.dumps(tree))


def test_what_is_not_text_is_an_error() -> None:
    for text in (None, b"1", 5):
        with pytest.raises(CodecError):
            codec.decode(text)  # type: ignore[arg-type]


def test_an_inert_value_of_another_users_is_decoded() -> None:
    values = [value for value in [*PLAIN, *VALUES] if "$reduce" not in codec.encode(value)]
    for value in values:
        if "cached" not in codec.encode(value):
            assert same(codec.decode(codec.encode(value), trusted=False), value)
    assert math.isnan(codec.decode(codec.encode(math.nan), trusted=False))
    assert isinstance(samples.Colour.RED, enum.Enum)
