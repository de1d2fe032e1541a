"""What a program submits, and what a broker gets of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from aque import prototypes, surroundings
from aque.brokers.base import Broker
from aque.errors import AqueError, CodecError, DependencyCycleError, UsageError
from aque.prototype import Earlier, Prototype
from aque.queue import Queue

DEFAULTS = {"cwd": "/here", "environ": {"A": "1"}, "umask": 0o022}


def shell(name: str, **fields: Any) -> dict[str, Any]:
    return {"pattern": "shell", "args": [name], "name": name, **fields}


def flatten(*submitted: Mapping[str, Any]) -> tuple[list[Prototype], list[int]]:
    flat, indices, _ = prototypes.flatten(submitted, DEFAULTS)
    for index, prototype in enumerate(flat):
        for reference in references(prototype):
            assert not isinstance(reference, Earlier) or reference.index < index
    return flat, indices


def references(prototype: Prototype) -> Sequence[object]:
    parent = () if prototype.parent is None else (prototype.parent,)
    return (*prototype.after, *prototype.after_any, *parent)


def names(flat: Sequence[Prototype]) -> list[str | None]:
    return [prototype.name for prototype in flat]


class Submitted:
    """Anything with an id is taken for what has been submitted already."""

    id = 42


def test_one_prototype_is_one_task() -> None:
    flat, indices = flatten(shell("a", priority=3, cpus=2, memory=5, duration=1.5))
    (only,) = flat
    assert indices == [0]
    assert (only.pattern, only.args, only.priority) == ("shell", '["a"]', 3)
    assert only.requirements is not None
    assert (only.requirements.cpus, only.requirements.memory) == (2.0, 5)
    assert (only.cwd, only.environ, only.umask) == ("/here", {"A": "1"}, 0o022)


def test_dependencies_come_before_what_waits_for_them() -> None:
    inner = shell("inner")
    flat, indices = flatten(
        shell("top", dependencies=[shell("a", after=[inner])], after_any=[shell("b")])
    )
    assert names(flat) == ["inner", "a", "b", "top"]
    assert indices == [3]
    assert flat[3].after == (Earlier(1),)
    assert flat[3].after_any == (Earlier(2),)


def test_children_come_after_their_parent() -> None:
    flat, _ = flatten({"name": "top", "children": [shell("a"), shell("b")]})
    assert names(flat) == ["top", "a", "b"]
    assert [child.parent for child in flat[1:]] == [Earlier(0), Earlier(0)]


def test_children_leave_to_their_parent_what_they_do_not_say() -> None:
    flat, _ = flatten(
        {"cwd": "/there", "children": [shell("a"), shell("b", cwd="/own", cpus=3)]},
        shell("c", parent=5),
    )
    _, plain, own, of_an_id = flat
    for child in (plain, of_an_id):
        assert (child.cwd, child.environ, child.umask, child.priority) == (None,) * 4
        assert child.requirements is None
    assert own.cwd == "/own"
    assert own.requirements is None
    assert own.needs == {"cpus": 3.0}


def test_dependencies_of_a_child_are_no_children() -> None:
    flat, _ = flatten({"children": [shell("a", after=[shell("b")])]})
    by_name = {prototype.name: prototype for prototype in flat}
    assert by_name["b"].parent is None
    assert by_name["b"].cwd == "/here"


def test_one_dict_used_twice_is_one_task() -> None:
    shared = shell("shared")
    flat, indices = flatten(
        shell("a", after=[shared]), shared, shell("b", after=[shared, shared]), shared
    )
    assert names(flat) == ["shared", "a", "b"]
    assert indices == [1, 0, 2, 0]


def test_equal_dicts_are_different_tasks() -> None:
    flat, _ = flatten(shell("a"), shell("a"))
    assert len(flat) == 2


def test_dicts_made_on_the_fly_are_not_confused() -> None:
    flat, _, _ = prototypes.flatten([shell("a", after=[shell(str(n))]) for n in range(99)], {})
    assert len(flat) == 198


@pytest.mark.parametrize("known", [42, Submitted()])
def test_what_was_submitted_before_is_named_by_its_id(known: object) -> None:
    flat, _ = flatten(shell("a", dependencies=[known], after_any=[known], parent=known))
    assert (flat[0].after, flat[0].after_any, flat[0].parent) == ((42,), (42,), 42)


def test_a_parent_may_be_a_prototype() -> None:
    flat, indices = flatten(shell("a", parent={"name": "top"}))
    assert names(flat) == ["top", "a"]
    assert indices == [1]
    assert flat[1].parent == Earlier(0)


def cycles() -> dict[str, dict[str, Any]]:
    alone = shell("alone")
    alone["after"] = [alone]
    a, b, c = shell("a"), shell("b"), shell("c")
    a["after"], b["after_any"], c["dependencies"] = [b], [c], [a]
    parent: dict[str, Any] = {"name": "parent"}
    parent["children"] = [shell("x", after=[shell("y", after=[parent])])]
    nested: dict[str, Any] = {"name": "nested"}
    nested["children"] = [{"children": [shell("z", after=[nested])]}]
    own: dict[str, Any] = {"name": "own"}
    own["children"] = [own]
    above = shell("above")
    above["parent"] = above
    return {"itself": alone, "three": a, "a child": parent, "a grandchild": nested,
            "its own child": own, "its own parent": above}  # fmt: skip


@pytest.mark.parametrize("name", cycles())
def test_a_cycle_is_refused_and_named(name: str) -> None:
    with pytest.raises(DependencyCycleError, match="would wait for itself"):
        flatten(cycles()[name])


def test_a_child_of_two_parents_is_refused() -> None:
    shared = shell("shared")
    with pytest.raises(UsageError, match="shared"):
        flatten({"children": [shared]}, {"children": [shared]})


@pytest.mark.parametrize(
    "wrong",
    [
        {"comand": ["a"]},
        {"after": [{"naem": "x"}]},
        {"children": [{"args": [], "Name": ""}]},
        {"after": ["seven"]},
        {"after": [None]},
        {"after": [True]},
        {"after": [1.0]},
        {"after": 5},
        {"dependencies": {"name": "a"}},
        {"children": "abc"},
        {"parent": "top"},
        {"cpus": -1},
        {"memory": -1},
        {"cpus": "two"},
        {"cpus": float("nan")},
        {"duration": -1.0},
        {"duration": float("nan")},
        {"priority": "high"},
        {"priority": 1.5},
        {"due_at": "now"},
        {"environ": ["A=1"]},
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        flatten({"pattern": "shell", "args": ["true"], **wrong})
    assert "\n" not in str(caught.value)


def test_what_is_no_mapping_is_refused() -> None:
    for wrong in ("a", 5.5, ["a"], None):
        with pytest.raises(UsageError):
            prototypes.flatten([wrong], {})  # type: ignore[list-item]


def test_no_dependencies_may_be_said_in_any_way() -> None:
    for nothing in ((), [], None, iter(())):
        flat, _ = flatten(shell("a", dependencies=nothing, after_any=nothing, children=nothing))
        assert references(flat[0]) == ()


def test_a_value_that_cannot_be_stored_is_named_by_its_place() -> None:
    with pytest.raises(CodecError, match=r"args\[1\]"):
        flatten({"func": print, "args": [1, lambda: 0]})


def test_a_function_is_generic_and_remembers_where_it_was_imported_from() -> None:
    flat, _ = flatten({"func": print, "args": (1, 2), "kwargs": {"sep": ""}})
    assert (flat[0].pattern, flat[0].args, flat[0].kwargs) == ("generic", "[1,2]", '{"sep":""}')
    assert flat[0].import_path == surroundings.import_path() is not None
    assert flatten(shell("a"))[0][0].import_path is None


@pytest.mark.parametrize("key", ["after", "after_any", "children"])
def test_a_chain_of_five_thousand_needs_no_stack(key: str) -> None:
    chain: dict[str, Any] = shell("last")
    for _ in range(5000):
        chain = {**shell("link"), key: [chain]}
    flat, (index,) = flatten(chain)
    assert len(flat) == 5001
    assert index == (0 if key == "children" else 5000)


def test_surroundings_leave_out_what_a_job_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*surroundings.JOB_VARIABLES, "AQUE_BROKER", "MINE"):
        monkeypatch.setenv(name, "x")
    environ = surroundings.take()["environ"]
    assert environ["MINE"] == environ["AQUE_BROKER"] == "x"
    assert not set(surroundings.JOB_VARIABLES) & set(environ)


def test_surroundings_are_taken_anew_where_they_have_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import os

    around = surroundings.Surroundings()
    first = around.take()
    assert around.take() is first
    monkeypatch.setenv("MINE", "caf\udce9")
    second = around.take()
    assert (second["environ"]["MINE"], first["environ"].get("MINE")) == ("caf\udce9", None)
    monkeypatch.chdir(tmp_path)
    assert around.take() == {**second, "cwd": str(tmp_path)}
    monkeypatch.delenv("MINE")
    monkeypatch.setattr(os, "environ", {"MINE": "a dict's"})
    assert around.take()["environ"] == {"MINE": "a dict's"}


def test_each_call_takes_over_what_is_so_when_it_is_submitted(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    queue = Queue(broker)
    monkeypatch.setenv("MINE", "first")
    ids = [queue.submit(len, "abc").id, queue.submit(len, "abc").id]
    monkeypatch.setenv("MINE", "second")
    ids.append(queue.submit(len, "abc").id)
    monkeypatch.syspath_prepend(str(tmp_path))
    ids.append(queue.submit(len, "abc").id)
    tasks = broker.fetch(ids)
    environments = [task.environment for task in tasks]
    assert all(environments)
    mine = [broker.environ(id or 0)["MINE"] for id in environments]
    assert mine == ["first", "first", "second", "second"]
    paths = [task.import_path for task in tasks]
    assert paths[0] == paths[1] == paths[2] != paths[3] == f"{tmp_path}:{paths[0]}"


def test_an_import_path_is_what_python_would_not_find_by_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    installed = next(path for path in sys.path if path.endswith("-packages"))
    library = os.path.dirname(os.__file__)
    cases: list[tuple[list[Any], str | None, tuple[list[str], list[str]]]] = [
        (["/a"], "/a", (["/a"], [])),
        (["", "/b:c"], f"{tmp_path}:/b:c", ([str(tmp_path), "/b:c"], [])),
        (["x/../y"], f"{tmp_path}/y", ([f"{tmp_path}/y"], [])),
        (["/a", library, "/b", installed, "/a", "/c"], "/a::/b:/c", (["/a"], ["/b", "/c"])),
        ([library, "/b", "__editable__.b.__path_hook__", tmp_path], "::/b", ([], ["/b"])),
        ([library, f"{library}/lib-dynload", installed], None, ([], [])),
    ]  # fmt: skip
    for entries, text, parts in cases:
        monkeypatch.setattr(sys, "path", entries)
        assert surroundings.import_path() == text
        assert surroundings.split_import_path(text or "") == parts


def test_the_umask_is_found_without_changing_it() -> None:
    before = os.umask(0o031)
    try:
        assert surroundings.take()["umask"] == 0o031
        assert os.umask(0o031) == 0o031
    finally:
        os.umask(before)


def test_refusals_are_errors_of_aque() -> None:
    assert issubclass(DependencyCycleError, AqueError)
