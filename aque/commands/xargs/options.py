"""Own the options of aque-xargs as they are written: those of GNU xargs 4.9, and those of aque.

An option is one row of `GNU` or `OURS`: its letter and long name, its argument, what it does (in
`settings`), and its help. GNU's rows keep GNU's order: a message on an ambiguous name shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aque import errors
from aque.commands.xargs import getopt, limits, settings, values
from aque.commands.xargs.settings import Options
from aque.record import record, replace

__all__ = ["Options", "UsageError", "parse", "usage"]


class UsageError(errors.AqueError):
    """The command line makes no sense; exit status 1, as GNU xargs has it.

    Print `warnings` first, then the message, each after the program's name and a colon. The message
    may have a second line ("Try ..."), to be printed as it is.
    """

    exit_status = 1

    def __init__(self, message: str, warnings: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.warnings = tuple(warnings)


@record(frozen=True)
class Row:
    """One option. `argument` is its name in --help: `N` if required, `[N]` if optional, or ''."""

    short: str
    long: str
    argument: str
    act: settings.Act
    help: str


GNU = (
    Row("0", "null", "", settings.null, "items end in a NUL; quotes and -E mean nothing"),
    Row("a", "arg-file", "FILE", settings.arg_file, "read items from FILE"),
    Row("d", "delimiter", "CHAR", settings.delimiter, "items end in CHAR; as -0 otherwise"),
    Row("e", "eof", "[END]", settings.eof, "as -E END; without END, no item ends the input"),
    Row("E", "", "END", settings.eof, "an item END ends the input"),
    Row("i", "replace", "[R]", settings.replace, "as -I R; without R, {}"),
    Row("I", "", "R", settings.replace, "one command a line, the line put in for each R"),
    Row("l", "max-lines", "[N]", settings.max_lines_or_one, "as -L N; without N, one line"),
    Row("L", "", "N", settings.max_lines, "at most N lines that are not blank a command"),
    Row("n", "max-args", "N", settings.max_args, "at most N items a command"),
    Row("o", "open-tty", "", settings.flag("open_tty"), "the command's input is the terminal"),
    Row(
        "p",
        "interactive",
        "",
        settings.flag("interactive", "verbose"),
        "ask before each command",
    ),
    Row(
        "r",
        "no-run-if-empty",
        "",
        settings.flag("no_run_if_empty"),
        "run nothing if there are no items",
    ),
    Row("s", "max-chars", "N", settings.max_chars, "at most N bytes of arguments a command"),
    Row("t", "verbose", "", settings.flag("verbose"), "print commands before they run"),
    Row("", "show-limits", "", settings.flag("show_limits"), "say how long commands may be"),
    Row("x", "exit", "", settings.flag("exit_if_too_big"), "end if -s is too small for -n or -L"),
    Row("P", "max-procs", "N", settings.max_procs, "run N commands at a time; 0: no limit"),
    Row(
        "",
        "process-slot-var",
        "VAR",
        settings.slot_var,
        "give each running command a number of its own in VAR",
    ),
    Row("", "version", "", settings.flag("version"), "print the version"),
    Row("", "help", "", settings.flag("help"), "print this"),
)

OURS = (
    Row("", "broker", "URL", settings.text("broker"), "use this queue"),
    Row("", "name", "NAME", settings.text("name"), "name the run"),
    Row("", "priority", "N", settings.priority, "larger runs first"),
    Row("", "cpus", "X", settings.cpus, "the processors that each command takes"),
    Row("", "memory", "SIZE", settings.memory, "the memory that each command takes"),
    Row("", "host", "GLOB", settings.text("host"), "where the commands may run"),
    Row("", "limit", "NAME[:N]", settings.limit, "tokens that each command takes"),
    Row("", "detach", "", settings.flag("detach"), "leave the commands to workers"),
    Row("", "resume", "ID", settings.resume, "run the rest of an earlier run; last: of the last"),
    Row("", "retries", "N", settings.retries, "run what fails up to N times more"),
    Row("", "timeout", "TIME", settings.timeout, "end a command that takes longer"),
    Row("", "halt", "WHEN,fail=N[%]", settings.halt, "end at N failures; WHEN: soon, now"),
    Row("", "group", "", settings.group, "show each command's output at its end"),
    Row("", "line-buffer", "", settings.line_buffer, "show output a line at a time"),
    Row("", "keep-order", "", settings.flag("keep_order"), "show output in the input's order"),
    Row("", "tag", "", settings.flag("tag"), "begin each line with the arguments"),
    Row("", "joblog", "FILE", settings.text("joblog"), "write a line for each command"),
    Row("", "bar", "", settings.flag("bar"), "show a bar of what is done"),
    Row("", "eta", "", settings.flag("eta"), "show how long the rest will take"),
    Row("", "dry-run", "", settings.flag("dry_run"), "print the commands, and run none"),
)

#: Of one run alone: an option of these is not kept with the run, to be used again.
_ONCE = frozenset("arg-file broker resume detach dry-run show-limits".split())


def parse(argv: Sequence[str], environ: Mapping[bytes, bytes]) -> Options:
    """Read the words after the program's name; `environ` (as `os.environb`) bounds -s.

    Raises UsageError.
    """
    most = limits.most_chars(environ)
    if most <= 0:
        raise UsageError("environment is too large for exec")
    options = Options(max_chars=min(limits.DEFAULT_CHARS, most), most_chars=most)
    rows = {_option(row, table is OURS): row for table in (GNU, OURS) for row in table}
    scan = getopt.scan(argv, list(rows))
    for option, value in scan.found:
        try:
            options = rows[option].act(options, value)
        except (ValueError, errors.UsageError) as error:
            raise UsageError(str(error), options.warnings) from None
        if options.help or options.version:
            return options
    if scan.error:
        raise UsageError(f"{scan.error}\n{values.TRY_HELP}", options.warnings)
    if options.eof is not None and options.delimiter is not None:
        # GNU's text ends in a newline of its own.
        text = "warning: the -E option has no effect if -0 or -d is used.\n"
        options = settings.warn(options, text)
    return replace(
        options,
        command=tuple(scan.operands) or options.command,
        has_command=bool(scan.operands),
        words=tuple(
            word
            for option, value in scan.found
            if option.long not in _ONCE
            for word in _words(option, value)
        ),
    )


def _words(option: getopt.Option, value: str | None) -> list[str]:
    """Return an option as words that mean the same."""
    if option.long:
        return [f"--{option.long}" + ("" if value is None else f"={value}")]
    return [f"-{option.short}", value or ""]


def _option(row: Row, ours: bool) -> getopt.Option:
    kind = getopt.Argument.NONE
    if row.argument:
        optional = row.argument.startswith("[")
        kind = getopt.Argument.OPTIONAL if optional else getopt.Argument.REQUIRED
    return getopt.Option(row.short, row.long, kind, ours)


def usage() -> str:
    """Return the text of --help."""
    return "\n".join(
        [
            "Usage: aque-xargs [OPTION]... [COMMAND [INITIAL-ARGS]...]",
            "Run COMMAND with INITIAL-ARGS and more arguments read from standard input, as",
            "xargs does; each command that runs is a task of the queue.",
            "",
            *map(_help_line, GNU),
            "",
            "Of the queue:",
            *map(_help_line, OURS),
            "",
            "  find . -name '*.exr' -print0 | aque-xargs -0 -P4 -n1 gzip",
            "  seq 20 | aque-xargs -P4 -I{} sh -c 'echo frame {}'",
            "",
        ]
    )


def _help_line(row: Row) -> str:
    short = f"  -{row.short}" + (", " if row.long else "") if row.short else " " * 6
    long = f"--{row.long}" if row.long else ""
    joint = "" if not long or not row.argument else "="
    argument = row.argument
    if argument.startswith("[") and long:
        joint, argument = "", f"[={argument[1:]}"
    elif argument and not long:
        joint = " "
    left = f"{short}{long}{joint}{argument}"
    gap = "\n" + " " * 28 if len(left) > 26 else ""
    return f"{left:28}{row.help}" if not gap else f"{left}{gap}{row.help}"
