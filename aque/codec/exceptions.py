"""Own the form of exceptions: each comes back as itself, or as something that says what it was.

An exception is often the only thing a task leaves, so unlike every other value it is never
refused. The form holds the exception and all its causes and contexts as one flat list that refers
to its own places, because they share tails, may be long, and may go in circles; and the traceback
as text, since frames cannot travel.

Classes break pickle when their constructor wants other arguments than it hands to `super()`. So
none is called: the nearest built-in base is, with what *its* `__reduce__` keeps (which for OSError
and ImportError is more than `args`), and the attributes are put back as they were.

What cannot travel gives way step by step. A class that no name leads to (a local one) becomes
its nearest base that has a name, with a note; below Exception itself, or where the class cannot
be found on reading, RemoteError stands in, with the type's name and the message. Arguments with
no text form are replaced by the message, attributes are left out, and a note says so.

The remote traceback is shown as concurrent.futures does: as the cause. Where there are causes
already, it is the cause of the first of them; a decoded exception that is encoded again keeps it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aque import names
from aque.codec import inert
from aque.codec.attributes import attributes_of, is_made_by_class, set_attributes
from aque.codec.objects import read_class
from aque.codec.walk import checked
from aque.errors import CodecError, RemoteError, describe

if TYPE_CHECKING:
    from aque.codec.walk import Path, Reader, Writer

MAX_CHAIN = 100
_CAUSE: Any = BaseException.__dict__["__cause__"]
_CONTEXT: Any = BaseException.__dict__["__context__"]
_SUPPRESS: Any = BaseException.__dict__["__suppress_context__"]
_PLACES = (("cause", _CAUSE), ("context", _CONTEXT))


class RemoteTraceback(Exception):
    """The traceback of an exception that was raised in another process, as text."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def write(exc: BaseException, path: Path, writer: Writer) -> Any:
    """Write an exception, those it came from, and its traceback."""
    chain = _chain(exc)
    places = {id(each): place for place, each in enumerate(chain)}
    form: dict[str, Any] = {"chain": [_record(each, places, path, writer) for each in chain]}
    text = _traceback_text(exc)
    if text:
        form["traceback"] = text
    return {"$exception": form}


def _chain(exc: BaseException) -> list[BaseException]:
    chain = [exc]
    for each in chain:  # it grows meanwhile
        for linked in (each.__cause__, each.__context__):
            known = linked is None or any(linked is other for other in chain)
            if not known and not isinstance(linked, RemoteTraceback) and len(chain) < MAX_CHAIN:
                chain.append(linked)  # type: ignore[arg-type]
    return chain


def _record(
    exc: BaseException, places: dict[int, int], path: Path, writer: Writer
) -> dict[str, Any]:
    notes: list[str] = []
    record: dict[str, Any] = {"type": _type_name(exc), "text": _text(exc)}
    _write_class_and_args(exc, record, notes, path, writer)
    state = _write_attributes(exc, notes, path, writer)
    if state:
        record["state"] = state
    for key, descriptor in _PLACES:
        place = places.get(id(descriptor.__get__(exc)))
        if place is not None:
            record[key] = place
    if exc.__suppress_context__:
        record["suppress"] = True
    return record


def _write_class_and_args(
    exc: BaseException, record: dict[str, Any], notes: list[str], path: Path, writer: Writer
) -> None:
    """Note the class and arguments, if there are any that can be read back."""
    cls = _nearest_named(type(exc))
    args = _write_args(exc, path, writer)
    if cls is None or args is None:
        return
    if cls is not type(exc):
        notes.append(
            f"aque: this was a {record['type']}, which cannot be found by its name: "
            f"{record['text']}"
        )
    record["class"] = names.name_of(cls)
    record["args"] = args


def _nearest_named(kind: type) -> type | None:
    for cls in kind.__mro__:
        if cls is not kind and cls in (Exception, BaseException, object):
            return None
        try:
            names.name_of(cls)
            return cls
        except CodecError:
            continue
    return None


def _write_args(exc: BaseException, path: Path, writer: Writer) -> list[Any] | None:
    try:
        kept = _builtin_base(type(exc)).__reduce__(exc)[1]
        return [writer.write(arg, (path, ".args[%s]", i)) for i, arg in enumerate(kept)]
    except CodecError:
        prints_args = type(exc).__str__ is BaseException.__str__
        return [writer.write(_text(exc), path)] if prints_args else None


def _write_attributes(
    exc: BaseException, notes: list[str], path: Path, writer: Writer
) -> dict[str, Any]:
    values = attributes_of(exc)
    answer = _builtin_base(type(exc)).__reduce__(exc)
    if len(answer) > 2 and isinstance(answer[2], dict):
        values.update(answer[2])
    written = {}
    for name, value in values.items():
        try:
            if name not in ("args", "__notes__"):
                written[str(name)] = writer.write(value, (path, ".%s", name))
        except CodecError as error:
            notes.append(f"aque: an attribute is left out: {error}")
    kept = values.get("__notes__")
    lines = [str(line) for line in kept] if isinstance(kept, (list, tuple)) else []
    if lines or notes:
        written["__notes__"] = [writer.write(line, path) for line in [*lines, *notes]]
    return written


def _type_name(exc: BaseException) -> str:
    module, qualname = type(exc).__module__, type(exc).__qualname__
    return qualname if module in ("builtins", "__main__") else f"{module}.{qualname}"


def _text(exc: BaseException) -> str:
    try:
        return str(exc)
    except Exception:
        return "<the exception could not be printed>"


def _traceback_text(exc: BaseException) -> str:
    remote = _first_cause(exc)
    if exc.__traceback__ is None:
        return str(remote.args[0]) if isinstance(remote, RemoteTraceback) else ""
    import traceback  # slow, and needed only here

    try:
        return "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))
    except Exception:
        return "".join(traceback.format_tb(exc.__traceback__)) + describe(exc)


def _first_cause(exc: BaseException) -> BaseException:
    seen = {id(exc)}
    cause = _CAUSE.__get__(exc)
    while cause is not None and id(cause) not in seen:
        exc = cause
        seen.add(id(exc))
        cause = _CAUSE.__get__(exc)
    return exc


def _builtin_base(cls: type) -> Any:
    """Return the base that lays out the object and knows its arguments."""
    while is_made_by_class(cls):
        cls = cls.__base__  # type: ignore[assignment]
    return cls


def read(payload: Any, reader: Reader) -> Any:
    """Read an exception and link it to those it came from."""
    form = checked(payload, dict, "$exception")
    records = checked(form.get("chain"), list, "$exception")
    if not records:
        raise CodecError("$exception holds no exception")
    chain = [_made(checked(record, dict, "$exception"), reader) for record in records]
    for exc, record in zip(chain, records):
        _link(exc, record, chain)
    if "traceback" in form:
        _attach(chain[0], checked(form["traceback"], str, "$exception"))
    return chain[0]


def _made(record: dict[str, Any], reader: Reader) -> BaseException:
    cls = _found_class(record, reader) if "class" in record else None
    args = reader.read_items(record.get("args", []), "$exception")
    state = checked(record.get("state", {}), dict, "$exception")
    values = {name: reader.read(tree) for name, tree in state.items()}
    exc = None if cls is None else _made_as(cls, args, reader)
    if exc is None:
        exc = _stand_in(record)
        values = {name: value for name, value in values.items() if name == "__notes__"}
    set_attributes(exc, values)
    return exc


def _found_class(record: dict[str, Any], reader: Reader) -> type | None:
    try:
        cls = read_class(record["class"], reader, "$exception")
    except CodecError:
        return None
    if not issubclass(cls, BaseException):
        raise CodecError(f"{record['class']} is not an exception")
    return cls


def _made_as(cls: type, args: list[Any], reader: Reader) -> BaseException | None:
    unsafe = inert.has_destructor(cls) or not inert.is_inert_argument(args)
    if unsafe and not reader.trusted:
        return None
    base = _builtin_base(cls)
    made: BaseException = base.__new__(cls, *args)
    base.__init__(made, *args)
    return made


def _stand_in(record: dict[str, Any]) -> BaseException:
    kind, text = record.get("type"), record.get("text")
    return RemoteError(checked(kind, str, "$exception"), checked(text, str, "$exception"))


def _link(exc: BaseException, record: dict[str, Any], chain: list[BaseException]) -> None:
    for key, descriptor in _PLACES:
        if key in record:
            place = checked(record[key], int, "$exception")
            if not 0 <= place < len(chain):
                raise CodecError(f"$exception has no place {place}")
            descriptor.__set__(exc, chain[place])
    _SUPPRESS.__set__(exc, checked(record.get("suppress", False), bool, "$exception"))


def _attach(exc: BaseException, text: str) -> None:
    """Make the remote traceback the cause of the first cause, and change nothing else."""
    first = _first_cause(exc)
    if _CAUSE.__get__(first) is None:
        suppress = _SUPPRESS.__get__(first)
        _CAUSE.__set__(first, RemoteTraceback(text))
        _SUPPRESS.__set__(first, suppress)
