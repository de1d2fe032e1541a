"""Own the border between a command and its process: names, errors, exit statuses.

Every command ends the same way: 0, 1 for no, 2 for usage, 3 for a queue that cannot be used; one
line that says what is wrong; quietly on a closed pipe, and by the signal on Ctrl-C.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence

import click

from aque import proctitle
from aque.commands import standard
from aque.errors import AqueError

_NO, _USAGE = 1, 2


def run(command: click.Command, name: str, arguments: Sequence[str] | None = None) -> int:
    """Run a command by its name, as `aque-submit`, and return its exit status."""

    def invoke() -> object:
        words = list(sys.argv[1:] if arguments is None else arguments)
        _give_what_all_have(command)
        with command.make_context(name, words) as invoked:  # click's main would hide a closed pipe
            return command.invoke(invoked)

    return guard(name, invoke)


def _give_what_all_have(command: click.Command) -> None:
    """Give a command --version and --help: click's own help looks for a translation, 2 ms."""
    if command.add_help_option:
        command.add_help_option = False
        for names, callback, text in EVERYWHERE:
            command.params.append(
                click.Option(
                    names,
                    is_flag=True,
                    is_eager=True,
                    expose_value=False,
                    callback=callback,
                    help=text,
                )
            )


def _show_version(context: click.Context, option: click.Parameter, is_wanted: bool) -> None:
    if is_wanted:
        import aque

        click.echo(f"{context.command_path} {aque.__version__}")
        context.exit()


def _show_help(context: click.Context, option: click.Parameter, is_wanted: bool) -> None:
    if is_wanted:
        click.echo(context.get_help())
        context.exit()


#: The options of every command: names, what is called, what it does.
EVERYWHERE = (
    (["--version"], _show_version, "Print the version and exit."),
    (["-h", "--help"], _show_help, "Show this message and exit."),
)


def guard(name: str, act: Callable[[], object]) -> int:
    """Have this process do what a command does, and return the exit status."""
    try:
        return _guard(name, act)
    finally:
        gc.freeze()  # else Python looks through all there is, 8 ms of it, before it ends


def _guard(name: str, act: Callable[[], object]) -> int:
    proctitle.set_comm(name)
    standard.hold_places()
    standard.open_streams()
    try:
        status = act()
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.MissingParameter as error:
        return complain(name, f"{_one_line(_missing(error))} (see {name} --help)", _USAGE)
    except click.UsageError as error:
        context = error.ctx
        hint = f" (see {context.command_path} --help)" if context else ""
        return complain(name, f"{_one_line(error.format_message()).rstrip('.')}{hint}", _USAGE)
    except click.ClickException as error:
        return complain(name, error.format_message(), error.exit_code)
    except AqueError as error:
        return complain(name, str(error), type(error).exit_status)
    except (click.Abort, KeyboardInterrupt):
        from aque.commands import ending

        return ending.by_signal(signal.SIGINT)
    except BrokenPipeError:
        standard.drop_output()
        return 128 + signal.SIGPIPE
    except OSError as error:
        standard.drop_output()
        place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        return complain(name, f"{place}{error.strerror or error}", _NO)


def _missing(error: click.MissingParameter) -> str:
    """Say what is to be given."""
    if error.param is not None and error.param.name == "ids":
        return "name tasks: 7, 3-9, 1,4,8-10, last, all"
    if error.param is not None and (error.param.metavar or "").startswith("DONE"):
        return "say how far, as 40 of 100"
    return error.format_message().rstrip(".")


def _one_line(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines())


def complain(name: str, text: str, status: int) -> int:
    from aque.commands import terminal

    terminal.tell(f"{name}: {text}")
    return status
