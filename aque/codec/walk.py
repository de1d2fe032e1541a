"""Own the walk through a value and back: where it is, what it is inside of, which form is next.

A path is a chain of (parent, format, step), put into words only when something is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aque.codec import plain
from aque.errors import CodecError

if TYPE_CHECKING:
    Path = tuple["Path | None", str, object]

MAX_DEPTH = 100  # some five Python frames a level, of the thousand there are


def root(name: str) -> Path:
    """Return the path of a whole value, called `name`."""
    return (None, "%s", name)


def refuse(path: Path, reason: str) -> CodecError:
    """Return the error that says why the value at `path` has no text form."""
    steps: list[str] = []
    parent: Path | None = path
    while parent is not None:
        parent, form, step = parent
        steps.append(form % (_shortened(step) if form == "[%s]" else step,))
    return CodecError(f"{''.join(reversed(steps))}: {reason}")


def _shortened(step: object) -> str:
    try:
        text = repr(step)
    except Exception:  # the user's own, or a number too long to print
        return f"<{type(step).__name__}>"
    return text if len(text) <= 60 else f"{text[:57]}..."


class Writer:
    """Write values as trees of JSON; `active` holds the ids of what the current one is inside.

    Futures among them are noted in `futures`, or refused where that is None.
    """

    def __init__(self, futures: list[Any] | None = None) -> None:
        self.active: set[int] = set()
        self.futures = futures

    def write(self, value: object, path: Path) -> Any:
        """Return the tree of `value`, which stands at `path`."""
        kind = type(value)
        scalar = plain.SCALARS.get(kind)
        if scalar is not None:
            return scalar(value)
        if id(value) in self.active:
            raise refuse(path, "it contains itself; pass a value without loops")
        if len(self.active) >= MAX_DEPTH:
            raise refuse(path, f"it is nested more than {MAX_DEPTH} deep; pass a flatter value")
        self.active.add(id(value))
        try:
            container = plain.CONTAINERS.get(kind)
            if container is not None:
                return container(value, path, self)
            from aque.codec import forms  # most values need none of them

            return forms.write(value, path, self)
        finally:
            self.active.discard(id(value))


class Reader:
    """Read trees of JSON as values; whether they are `trusted` holds for all that is in them.

    `results` returns the result of the task of an id, for a future among them.
    """

    def __init__(self, trusted: bool, results: Callable[[int], Any] | None = None) -> None:
        self.trusted = trusted
        self.results = results

    def read(self, tree: Any) -> Any:
        """Return the value of `tree`."""
        kind = type(tree)
        if kind is list:
            return [self.read(item) for item in tree]
        if kind is not dict:
            return tree
        if len(tree) == 1:
            ((tag, payload),) = tree.items()
            if tag[:1] == "$":
                return self._read_form(tag, payload)
        for key in tree:
            if key[:1] == "$":
                raise CodecError(f"{key} stands among other keys, where no tag can")
        return {key: self.read(item) for key, item in tree.items()}

    def read_items(self, payload: Any, tag: str) -> list[Any]:
        """Return the values of a list, which is what `tag` holds."""
        return [self.read(item) for item in checked(payload, list, tag)]

    def _read_form(self, tag: str, payload: Any) -> Any:
        form = plain.READERS.get(tag)
        if form is None:
            from aque.codec import forms

            form = forms.READERS.get(tag)
        if form is None:
            raise CodecError(f"{tag} is not a tag that this version of aque knows")
        return form(payload, self)


def checked(payload: Any, kind: type, tag: str) -> Any:
    """Return `payload`, which must be of exactly this type."""
    if type(payload) is not kind:
        raise CodecError(f"{tag} holds a {type(payload).__name__}, not a {kind.__name__}")
    return payload


def parts(payload: Any, count: int, tag: str) -> list[Any]:
    """Return `payload`, which must be a list of `count` parts."""
    if type(payload) is not list or len(payload) != count:
        raise CodecError(f"{tag} does not hold its {count} parts")
    return payload
