"""Own the record of what aque-xargs was asked to do, and how each option changes it.

Options act in the order typed, since GNU lets a later one of -I, -L and -n push an earlier one out,
with a warning. How they are written is `options`' affair. An act that cannot read its argument
raises ValueError with what a person is to see.
"""

from __future__ import annotations

from collections.abc import Callable

from aque import record as records
from aque.commands import quantities
from aque.commands.xargs import limits, values
from aque.record import record

#: What `resume` is for the last run, whichever that is.
LAST = 0


@record(frozen=True)
class Halt:
    """When failures end a run: at so many, or at `percent` of those that have ended.

    `now`: what runs is ended too.
    """

    now: bool
    count: int = 0
    percent: float = 0.0


@record(frozen=True)
class Options:
    """The options, settled: at most one of `replace`, `max_lines` and `max_args` is set."""

    command: tuple[str, ...] = ("echo",)
    #: -a: read this file; the command keeps our standard input, unless that is what is read.
    arg_file: str | None = None
    #: -0 and -d: one byte. None: blanks, newlines, quotes and backslashes.
    delimiter: bytes | None = None
    #: -E: the item that ends the input. Of no effect with a delimiter.
    eof: str | None = None
    #: -I: what to replace in the command's arguments; one line of input, one command.
    replace: str | None = None
    max_args: int | None = None
    max_lines: int | None = None
    #: -s: the bytes of arguments, each with its NUL; never more than `most_chars`.
    max_chars: int = limits.DEFAULT_CHARS
    #: What the system and the environment leave for -s.
    most_chars: int = limits.DEFAULT_CHARS
    #: -x: end, rather than split, when -s keeps -n from being met (see `is_strict`).
    exit_if_too_big: bool = False
    #: 0: as many as there are.
    max_procs: int = 1
    no_run_if_empty: bool = False
    verbose: bool = False
    #: -p, which sets `verbose` too.
    interactive: bool = False
    open_tty: bool = False
    slot_var: str | None = None
    show_limits: bool = False
    #: --help and --version end the reading: nothing after them was looked at.
    help: bool = False
    version: bool = False
    #: To be printed before anything runs, each after the program's name.
    warnings: tuple[str, ...] = ()

    #: The options as they could be typed again, but for those that are for one run alone.
    words: tuple[str, ...] = ()
    #: Whether a command was given.
    has_command: bool = False

    broker: str | None = None
    name: str | None = None
    priority: int | None = None
    cpus: float | None = None
    memory: int | None = None
    host: str | None = None
    #: Tokens of named limits that each command takes.
    limits: tuple[tuple[str, int], ...] = ()
    detach: bool = False
    resume: int | None = None
    retries: int = 0
    #: Seconds.
    timeout: float | None = None
    halt: Halt | None = None
    #: Each command's output is kept, stored and shown: whole at its end, or `by_line`.
    grouped: bool = False
    by_line: bool = False
    keep_order: bool = False
    tag: bool = False
    joblog: str | None = None
    bar: bool = False
    eta: bool = False
    dry_run: bool = False

    @property
    def keeps_output(self) -> bool:
        return self.grouped or self.by_line or self.keep_order or self.tag

    @property
    def needs_room(self) -> bool:
        """Whether a command may have to wait for more than its turn."""
        return bool(self.cpus or self.memory or self.limits)

    @property
    def is_strict(self) -> bool:
        """Tell whether -x holds: -I and -L imply it."""
        return self.exit_if_too_big or self.replace is not None or self.max_lines is not None


#: What an option does, given the options so far and its argument (None when it has none).
Act = Callable[[Options, "str | None"], Options]

#: The fields of which one only may be set, and what GNU calls them.
_RIVALS = {"replace": "--replace", "max_lines": "--max-lines", "max_args": "--max-args"}


def flag(*fields: str) -> Act:
    """Return the act that sets `fields`."""
    changes = dict.fromkeys(fields, True)
    return lambda options, _: records.replace(options, **changes)  # type: ignore[arg-type]


def text(field: str) -> Act:
    """Return the act that stores the argument in `field`."""
    return lambda options, value: records.replace(
        options,
        **{field: value},  # type: ignore[arg-type]
    )


def arg_file(options: Options, value: str | None) -> Options:
    return records.replace(options, arg_file=None if value == "-" else value)


def null(options: Options, _: str | None) -> Options:
    return records.replace(options, delimiter=b"\0")


def delimiter(options: Options, value: str | None) -> Options:
    return records.replace(options, delimiter=values.delimiter(value or ""))


def eof(options: Options, value: str | None) -> Options:
    return records.replace(options, eof=value or None)


def replace(options: Options, value: str | None) -> Options:
    options = _push_out(options, "replace", "--replace/-I/-i")
    return records.replace(options, replace="{}" if value is None else value)


def max_lines(options: Options, value: str | None) -> Options:
    lines = values.number(value or "", "-L", 1)
    return records.replace(_push_out(options, "max_lines", "-L"), max_lines=lines)


def max_lines_or_one(options: Options, value: str | None) -> Options:
    lines = 1 if value is None else values.number(value, "-l", 1)
    return records.replace(_push_out(options, "max_lines", "--max-lines/-l"), max_lines=lines)


def max_args(options: Options, value: str | None) -> Options:
    count = values.number(value or "", "-n", 1)
    if count == 1 and options.replace is not None:
        return options  # -I takes one item at a time anyway
    return records.replace(_push_out(options, "max_args", "--max-args/-n"), max_args=count)


def max_chars(options: Options, value: str | None) -> Options:
    chars, complaint = values.clamped(value or "", "-s", 1, options.most_chars)
    options = records.replace(options, max_chars=chars)
    return warn(options, complaint) if complaint else options


def max_procs(options: Options, value: str | None) -> Options:
    procs = values.number(value or "", "-P", 0, limits.MOST_PROCS)
    return records.replace(options, max_procs=procs)


def slot_var(options: Options, value: str | None) -> Options:
    if "=" in (value or ""):
        raise ValueError("option --process-slot-var may not be set to a value which includes `='")
    if not value:
        raise ValueError("failed to unset environment variable : Invalid argument")
    return records.replace(options, slot_var=value)


def priority(options: Options, value: str | None) -> Options:
    return records.replace(options, priority=values.integer(value or "", "--priority"))


def cpus(options: Options, value: str | None) -> Options:
    return records.replace(options, cpus=quantities.parse_cpus(value or ""))


def memory(options: Options, value: str | None) -> Options:
    return records.replace(options, memory=quantities.parse_size(value or ""))


def limit(options: Options, value: str | None) -> Options:
    return records.replace(options, limits=(*options.limits, quantities.parse_limit(value or "")))


def resume(options: Options, value: str | None) -> Options:
    id = LAST if value == "last" else values.number(value or "", "--resume", 1)
    return records.replace(options, resume=id)


def retries(options: Options, value: str | None) -> Options:
    count = values.number(value or "", "--retries", 0, 2**31 - 1)
    return records.replace(options, retries=count)


def timeout(options: Options, value: str | None) -> Options:
    seconds = quantities.parse_duration(value or "")
    if not seconds:
        raise ValueError("a --timeout of no time at all ends every command; leave it out for none")
    return records.replace(options, timeout=seconds)


def halt(options: Options, value: str | None) -> Options:
    text = value or ""
    if text == "never":
        return records.replace(options, halt=None)
    now, count, percent = values.halt(text)
    return records.replace(options, halt=Halt(now, count, percent))


def group(options: Options, _: str | None) -> Options:
    return records.replace(options, grouped=True, by_line=False)


def line_buffer(options: Options, _: str | None) -> Options:
    return records.replace(options, grouped=False, by_line=True)


def warn(options: Options, text: str) -> Options:
    """Add a warning."""
    return records.replace(options, warnings=(*options.warnings, text))


def _push_out(options: Options, winner: str, written: str) -> Options:
    """Unset the rivals of `winner`, which was `written` so, each with GNU's warning."""
    for field, name in _RIVALS.items():
        if field != winner and getattr(options, field) is not None:
            options = warn(
                records.replace(options, **{field: None}),  # type: ignore[arg-type]
                f"warning: options {name} and {written} are mutually exclusive, "
                f"ignoring previous {name} value",
            )
    return options
