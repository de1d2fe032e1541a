"""Own the text form of values: what a task is called with and what it gives back.

The text is read by another process, perhaps under another Python, perhaps by another user, and
by people; so it is not pickle, which is code, unreadable, and tied to one interpreter's mood.

Form. ASCII JSON. None, bool, int, str, finite float, list, and dict with plain keys are written
as themselves. Everything else is an object with one key that begins with `$`, the tag:
`{"$tuple": [1, 2]}`, `{"$datetime": [...]}`, `{"$dataclass": ["mod:Cls", {...}]}`. A dict whose
keys are not all strings, or one of whose keys begins with `$`, is `{"$dict": [[key, value], ...]}`,
so that no dict is ever taken for a tag. Types are compared exactly: a subclass of str, int, list,
dict or tuple (namedtuple, Counter, IntEnum) is never flattened to its base.

What no tag covers is asked for its own `copyreg` or `__reduce_ex__(4)` answer, the protocol
behind pickle and copy, and that answer is written with names: `$reduce`. So numpy arrays,
Decimal, UUID and most people's classes work; locks, sockets and generators refuse themselves.
`codec.register` adds a tag for a type that has no good answer.

Trust. Tagged forms are inert: to decode one runs no code of the user's. Dataclasses and
exceptions are filled in without their constructor (which may also have changed, or wants
arguments that nobody kept); an enum's member is looked up. `$reduce` and `$type` (registered)
are running code. `decode(trusted=False)`, for rows of another user, refuses them before it looks
at anything else, imports nothing, and takes care of the quieter calls too: `__hash__` of what is
put into a set, `__iter__` and `__index__` of what is handed to OSError, `__del__` of what is made.

A future among a task's arguments is `{"$result": id}`: a dependency, read as its result when the
task is called.

Refused: values that contain themselves (an id could be written for what was seen before, as
pickle's memo does, but then a text can no longer be read from the top down, nor by a person),
and what is nested over 100 deep, which another process might not have the stack for. The same
object in two places comes back as two. A refusal names the place: `args[2]['key']: <reason>`.

Rejected: pickle and cloudpickle (code in the row), jsonpickle (imports and calls on reading),
marshal (one version), repr and literal_eval (slow, and no dates).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aque.codec.registry import register
from aque.codec.text import parse, print_tree, quote
from aque.codec.walk import Reader, Writer, refuse, root
from aque.errors import CodecError, LargeValueWarning, describe

__all__ = ["decode", "encode", "register"]


#: Characters past which a value is said to be large.
LARGE = 1_000_000
_SMALL = 1 << 63
_WORDS = {None: "null", True: "true", False: "false"}


def encode(value: object, path: str = "value", futures: list[Any] | None = None) -> str:
    """Return `value` as text. `path` is what a refusal calls it: `args[2]['key']: <reason>`.

    Futures in it are added to `futures`, and are refused without it. Raises CodecError for what has
    no text form. Warns, by LargeValueWarning, of a text over 1 MB.
    """
    text = _plain(value) or _plain_list(value)
    if text is not None:
        return text if len(text) <= LARGE else _warned(path, text)
    try:
        text = print_tree(Writer(futures).write(value, root(path)))
    except CodecError:
        raise
    except Exception as error:  # an object's own code, or the end of the stack
        raise refuse(root(path), f"it cannot be encoded: {describe(error)}") from error
    return text if len(text) <= LARGE else _warned(path, text)


def _plain(value: Any) -> str | None:
    """Return the text of a value that is written as itself, as most are; None of any other."""
    kind = type(value)
    if kind is str:
        return quote(value) if value.isascii() else None
    if kind is int:
        return repr(value) if -_SMALL < value < _SMALL else None
    return _WORDS[value] if kind is bool or value is None else None


def _plain_list(value: Any) -> str | None:
    if type(value) is not list:
        return None
    texts = [text for text in map(_plain, value) if text is not None]
    return f"[{','.join(texts)}]" if len(texts) == len(value) else None


def _warned(path: str, text: str) -> str:
    import warnings

    warnings.warn(
        f"{path} is {len(text) / 1e6:.1f} MB as text, which is stored with the task and slows "
        "down all that look at it; write such a value to a file, and pass the path",
        LargeValueWarning,
        stacklevel=3,
    )
    return text


def decode(text: str, trusted: bool = True, results: Callable[[int], Any] | None = None) -> Any:
    """Return the value that `text` stands for; CodecError if it stands for none.

    With `trusted=False`, for text that another user wrote, nothing is imported and nothing of
    the user's is called: a reduce form is refused before anything else is looked at. `results`
    returns the result of a task, by its id, for each future that stood among arguments.
    """
    try:
        tree, has_tags = parse(text, trusted)
        return Reader(trusted, results).read(tree) if has_tags else tree
    except CodecError:
        raise
    except Exception as error:
        raise CodecError(f"the value cannot be decoded: {describe(error)}") from error
