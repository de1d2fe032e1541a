"""Own how what a program submits becomes the flat Prototypes that a broker stores.

A program gives nested dicts: `dependencies` (or `after`), `after_any` and `children` hold more of
them, ids, or futures. One dict used twice is one task. They are put in an order in which each comes
after all it depends on, so that the broker only meets references to what is there already; a task
that would wait for itself, by whatever way, is refused.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import lru_cache
from types import BuiltinFunctionType, FunctionType
from typing import Any, NamedTuple

from aque import codec, io_paths, needs, record, states, surroundings, trust
from aque.errors import DependencyCycleError, UsageError
from aque.fields import EDGES, PLAIN, check, check_arguments
from aque.mounts import Mount
from aque.prototype import Earlier, Prototype, Reference, prototype
from aque.schedule import mounts

#: The fields that say what is called.
_CALL = frozenset(("func", "args", "kwargs"))
_PLAIN_FUNCTIONS = frozenset((FunctionType, BuiltinFunctionType, type))

#: Something to wait for: an id, a future, or the dict of another prototype.
Dependency = Any
_Visit = Generator["tuple[dict[str, Any], Earlier | None]", int, int]


class Flat(NamedTuple):
    """Prototypes in an order fit for `Broker.create`.

    `indices` are the places of the submitted ones, `futures` those found among arguments.
    """

    prototypes: list[Prototype]
    indices: list[int]
    futures: list[Any]


def flatten(
    submitted: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any], form: Form | None = None
) -> Flat:
    """Put prototypes, and those nested in them, into order; `form` is the defaults', if made.

    Raises UsageError for a key that is none, CodecError for a value that cannot be encoded,
    DependencyCycleError for a task that would wait for itself.
    """
    if form is None:
        check(defaults)
    flattening = _Flattening(defaults, form)
    indices = [flattening.place(prototype) for prototype in submitted]
    return Flat(flattening.prototypes, indices, flattening.futures)


class _Flattening:
    """One call's prototypes so far, and where each dict went."""

    def __init__(self, defaults: Mapping[str, Any], form: Form | None) -> None:
        self.prototypes: list[Prototype] = []
        self.futures: list[Any] = []  # those found among arguments
        self._defaults = defaults
        self._form = form
        self._is_formed = _CALL.isdisjoint(defaults) and "pattern" not in defaults
        self._finder = io_paths.Finder()
        self._placed: dict[int, int] = {}
        self._open: set[int] = set()
        self._kept: list[object] = []  # so that no id() is used twice

    def place(self, prototype: Mapping[str, Any]) -> int:
        """Place a prototype and all it refers to; a stack of generators, since chains are long."""
        if type(prototype) is dict and self._has_no_edges(prototype):
            return self._place_alone(prototype)
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

    def _has_no_edges(self, submitted: Mapping[str, Any]) -> bool:
        return EDGES.isdisjoint(submitted) and EDGES.isdisjoint(self._defaults)

    def _place_alone(self, submitted: Mapping[str, Any]) -> int:
        """Place what refers to nothing: what most are, when they come by the thousand."""
        key = id(submitted)
        if key not in self._placed:
            is_call = submitted.get("func") is not None and _CALL.issuperset(submitted)
            (check_arguments if is_call else check)(submitted)
            self._kept.append(submitted)
            self._placed[key] = len(self.prototypes)
            if is_call and self._is_formed:
                self._append_call(submitted)
            else:
                self._append(self._with_defaults(submitted), (), (), None)
        return self._placed[key]

    def _append_call(self, submitted: Mapping[str, Any]) -> None:
        """Append what is a call and no more, by a form that is made once: three times as fast."""
        if self._form is None:
            self._form = Form(self._defaults)
        args, kwargs = submitted.get("args"), submitted.get("kwargs")
        if args is None:
            args = ()
        made = self._form.call(submitted["func"], args, {} if kwargs is None else kwargs)
        self.prototypes.append(made.prototype)
        self.futures += made.futures

    def _with_defaults(self, submitted: Mapping[str, Any]) -> dict[str, Any]:
        """Return all fields; an environment that is taken over becomes that of the task's user."""
        fields = {**self._defaults, **submitted}
        if fields.get("user") is not None and "environ" in fields and "environ" not in submitted:
            fields["environ"] = {**fields["environ"], **trust.login_environ(fields["user"])}
        return fields

    def _append(
        self,
        fields: dict[str, Any],
        after: tuple[Reference, ...],
        after_any: tuple[Reference, ...],
        parent: Reference | None,
    ) -> None:
        if fields.get("pattern") == "shell" or fields.get("io_paths"):
            fields.update(self._io_hints(fields))
        self.prototypes.append(make(fields, after, after_any, parent, self.futures))

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
        fields = dict(submitted) if is_child else self._with_defaults(submitted)
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
        self._append(fields, tuple(after), tuple(after_any), above)
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
    futures: list[Any] | None = None,
) -> Prototype:
    """Make one prototype: encode its values, and see to what is left out.

    Futures among its arguments are added to `futures`; it waits for them too.
    """
    func, pattern = fields.get("func"), fields.get("pattern")
    if pattern is None and func is not None:
        pattern = "generic"
    plain = {key: value for key, value in fields.items() if key in PLAIN}
    if pattern not in (None, "shell") and "import_path" not in plain:
        plain["import_path"] = surroundings.import_path()
    found: list[Any] | None = None if pattern in (None, "shell") else []
    args, kwargs = _encode(fields, "args", list, found), _encode(fields, "kwargs", dict, found)
    if found:
        after += tuple(future.id for future in found)
        if futures is not None:
            futures.extend(found)
    return prototype(
        pattern=pattern,
        func=None if func is None else _checked(func),
        args=args,
        kwargs=kwargs,
        extra=_encode(fields, "extra", None) if "extra" in fields else None,
        after=after,
        after_any=after_any,
        parent=parent,
        requirements=needs.requirements(fields) if parent is None else None,
        needs=None if parent is None else needs.given_in(fields),
        status=states.PAUSED if fields.get("hold") else states.PENDING,
        **plain,
    )


class Call(NamedTuple):
    """The prototype of a call, and the futures found among its arguments."""

    prototype: Prototype
    futures: list[Any]


class Form:
    """What many calls have in common, made ready once."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        check(fields)
        (self._common,), _, self._futures = flatten([{**fields, "pattern": "generic"}], {})

    def call(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
        """Return the prototype of func(*args, **kwargs)."""
        found: list[Any] = []
        given = {"func": _checked(func), "args": codec.encode(list(args), "args", found)}
        if kwargs:
            given["kwargs"] = codec.encode(dict(kwargs), "kwargs", found)
        return self._make(given, found)

    def chunk(self, func: Any, chunk: Sequence[Any]) -> Call:
        """Return the prototype of one call, or of several with the pattern `map`."""
        found: list[Any] = []
        args = codec.encode(list(chunk), "args", found)
        return self._make({"func": _checked(func), "pattern": "map", "args": args}, found)

    def _make(self, given: dict[str, Any], found: list[Any]) -> Call:
        if found or self._futures:
            given["after"] = self._common.after + tuple(future.id for future in found)
        return Call(record.make(Prototype, self._common.__dict__, given), found)


def _checked(func: Any) -> str:
    if callable(func):
        return encode_function(func)
    hint = '; for a command: submit_ex(pattern="shell", args=["ls", "-l"])'
    raise UsageError(f"func is {func!r}, which cannot be called{hint if type(func) is str else ''}")


def encode_function(func: Any) -> str:
    """Encode what is to be called; a plain function is looked up by its name once."""
    return _name(func) if type(func) in _PLAIN_FUNCTIONS else codec.encode(func, "func")


@lru_cache(maxsize=1000)
def _name(func: Any) -> str:
    return codec.encode(func, "func")


def _encode(
    fields: Mapping[str, Any], key: str, kind: Any, futures: list[Any] | None = None
) -> str | None:
    value = fields.get(key)
    if value is None:
        return None
    return codec.encode(kind(value) if kind else value, key, futures)


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
