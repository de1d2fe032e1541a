"""Own how what a program submits becomes the flat Prototypes that a broker stores.

A program gives nested dicts: `dependencies` (or `after`), `after_any` and `children` hold more of
them, ids, or futures. One dict used twice is one task. They are put in an order in which each comes
after all it depends on, so that the broker only meets references to what is there already; a task
that would wait for itself, by whatever way, is refused.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aque import codec, io_paths, states, trust
from aque.errors import DependencyCycleError, UsageError
from aque.fields import PLAIN, REQUIREMENTS, check
from aque.mounts import Mount
from aque.schedule import hosts, mounts
from aque.task import Earlier, Prototype, Reference, Requirements, limits_text

#: What a job is told by its worker, and what is not passed on to the tasks it submits.
JOB_VARIABLES = ("AQUE_TID", "AQUE_ATTEMPT", "AQUE_SLOT", "AQUE_CPUS", "AQUE_JOB")

#: Something to wait for: an id, a future, or the dict of another prototype.
Dependency = Any
_Visit = Generator["tuple[dict[str, Any], Earlier | None]", int, int]


def flatten(
    submitted: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any]
) -> tuple[list[Prototype], list[int]]:
    """Return prototypes in an order fit for `Broker.create`, and where the submitted ones are.

    Raises UsageError for a key that is none, CodecError for a value that cannot be encoded,
    DependencyCycleError for a task that would wait for itself.
    """
    flattening = _Flattening(defaults)
    indices = [flattening.place(prototype) for prototype in submitted]
    return flattening.prototypes, indices


class _Flattening:
    """One call's prototypes so far, and where each dict went."""

    def __init__(self, defaults: Mapping[str, Any]) -> None:
        self.prototypes: list[Prototype] = []
        self._defaults = defaults
        self._finder = io_paths.Finder()
        self._placed: dict[int, int] = {}
        self._open: set[int] = set()
        self._kept: list[object] = []  # so that no id() is used twice

    def place(self, prototype: Mapping[str, Any]) -> int:
        """Place a prototype and all it refers to; a stack of generators, since chains are long."""
        stack = [self._visit(prototype, None)]
        answer: int | None = None
        while stack:
            try:
                nested, parent = next(stack[-1]) if answer is None else stack[-1].send(answer)
            except StopIteration as done:
                answer = done.value
                stack.pop()
            else:
                answer = None
                stack.append(self._visit(nested, parent))
        assert answer is not None
        return answer

    def _visit(self, submitted: Mapping[str, Any], parent: Earlier | None) -> _Visit:
        key = id(submitted)
        if key in self._open:
            raise DependencyCycleError(f"{_describe(submitted)} would wait for itself")
        if key in self._placed:
            if parent is not None and self.prototypes[self._placed[key]].parent != parent:
                raise UsageError(f"{_describe(submitted)} has two parents, or was placed before")
            return self._placed[key]
        self._open.add(key)
        self._kept.append(submitted)
        check(submitted)
        is_child = parent is not None or submitted.get("parent") is not None
        fields = dict(submitted) if is_child else {**self._defaults, **submitted}
        if fields.get("user") is not None and "environ" in fields and "environ" not in submitted:
            fields["environ"] = {**fields["environ"], **trust.login_environ(fields["user"])}
        after: list[Reference] = []
        for dependency in (*_listed(fields, "dependencies"), *_listed(fields, "after")):
            after.append(_known(dependency) or Earlier((yield dependency, None)))
        after_any: list[Reference] = []
        for dependency in _listed(fields, "after_any"):
            after_any.append(_known(dependency) or Earlier((yield dependency, None)))
        above: Reference | None = parent
        if parent is None and fields.get("parent") is not None:
            above = _known(fields["parent"]) or Earlier((yield fields["parent"], None))
        index = self._placed[key] = len(self.prototypes)
        fields.update(self._io_hints(fields))
        self.prototypes.append(make(fields, tuple(after), tuple(after_any), above))
        for child in _listed(fields, "children"):
            yield child, Earlier(index)
        self._open.discard(key)
        return index

    def _io_hints(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the mounts of a task's paths and, where none is given, its expected duration."""
        cwd = fields.get("cwd")
        said = self._finder.said(_listed(fields, "io_paths"), cwd)
        guessed: list[Mount] = []
        hints: dict[str, Any] = {}
        if fields.get("pattern") == "shell":
            words = [word for word in _listed(fields, "args")[1:] if isinstance(word, str)]
            guessed, seconds = self._finder.guess(words, cwd)
            hints["duration"] = fields.get("duration") or seconds
        return {**hints, "mounts": mounts.to_text(said, guessed)}


def make(
    fields: Mapping[str, Any],
    after: tuple[Reference, ...] = (),
    after_any: tuple[Reference, ...] = (),
    parent: Reference | None = None,
) -> Prototype:
    """Make one prototype: encode its values, and see to what is left out."""
    func, pattern = fields.get("func"), fields.get("pattern")
    if func is not None and not callable(func):
        raise UsageError(f"func is {func!r}, which cannot be called")
    if pattern is None and func is not None:
        pattern = "generic"
    plain = {key: fields[key] for key in PLAIN & fields.keys()}
    if pattern not in (None, "shell") and "import_path" not in plain:
        plain["import_path"] = os.path.abspath(sys.path[0]) if sys.path else None
    return Prototype(
        pattern=pattern,
        func=None if func is None else codec.encode(func, "func"),
        args=_encode(fields, "args", list),
        kwargs=_encode(fields, "kwargs", dict),
        extra=_encode(fields, "extra", None),
        after=after,
        after_any=after_any,
        parent=parent,
        requirements=_requirements(fields) if parent is None else None,
        needs=None if parent is None else _needs(fields),
        status=states.PAUSED if fields.get("hold") else states.PENDING,
        **plain,
    )


def surroundings() -> dict[str, Any]:
    """Return what a task takes over from this process: directory, environment and umask."""
    environ = {key: value for key, value in os.environ.items() if key not in JOB_VARIABLES}
    return {"cwd": _directory(), "environ": environ, "umask": _umask()}


def _directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was removed, or is out of reach
        return None


def _requirements(fields: Mapping[str, Any]) -> Requirements:
    return replace(Requirements(user=trust.user_name()), **_needs(fields))


def _needs(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the requirements that are given, as the fields of a Requirements."""
    given = {key: fields[key] for key in REQUIREMENTS if fields.get(key) is not None}
    if "cpus" in given:
        given["cpus"] = float(given["cpus"])
    if "memory" in given:
        given["memory"] = int(given["memory"])
    for key in ("host", "platform"):
        if key in given:
            given[key] = hosts.check(given[key])
    if "limits" in given:
        given["limits"] = limits_text(_tokens(given["limits"]))
    return given


def _tokens(limits: Mapping[str, int]) -> Mapping[str, int]:
    if not isinstance(limits, Mapping):
        raise UsageError(f"limits must be a mapping of names to tokens, not {limits!r}")
    for name, tokens in limits.items():
        if not isinstance(name, str) or not name or not isinstance(tokens, int) or tokens < 1:
            raise UsageError(f"limits cannot be {limits!r}; write {{'nuke': 1}}")
    return limits


def _encode(fields: Mapping[str, Any], key: str, kind: Any) -> str | None:
    value = fields.get(key)
    if value is None:
        return None
    return codec.encode(kind(value) if kind else value, key)


def _known(dependency: Dependency) -> int | None:
    """Return the id of what has been submitted already."""
    if isinstance(dependency, bool):
        raise UsageError(f"{dependency!r} is no task")
    if isinstance(dependency, int):
        return dependency
    found = getattr(dependency, "id", None)
    return found if isinstance(found, int) else None


def _listed(fields: Mapping[str, Any], key: str) -> list[Dependency]:
    value = fields.get(key)
    if value is None:
        return []
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise UsageError(f"{key} must be a list of tasks, not {value!r}")
    return list(value)


def _describe(submitted: Mapping[str, Any]) -> str:
    name = submitted.get("name") or submitted.get("func") or submitted.get("args") or "a prototype"
    return f"task {name!r}" if isinstance(name, str) else f"task {name}"


def _umask() -> int:
    try:
        with open("/proc/self/status", "rb") as file:
            for line in file:
                if line.startswith(b"Umask:"):
                    return int(line.split()[1], 8)
    except OSError:
        pass
    umask = os.umask(0o077)  # no other way to read it; what is made meanwhile is private
    os.umask(umask)
    return umask
