"""Own the border between a command and its process: names, errors, exit statuses.

Every command ends the same way: 0, 1 for no, 2 for usage, 3 for a queue that cannot be used; one
line that says what is wrong; quietly on a closed pipe, and with 130 on Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper

import click

from aque import proctitle
from aque.errors import AqueError

INTERRUPTED = 128 + signal.SIGINT
_NO, _USAGE = 1, 2


def run(command: click.Command, name: str, arguments: Sequence[str] | None = None) -> int:
    """Run a command by its name, as `aque-submit`, and return its exit status."""
    proctitle.set_comm(name)
    _hold_descriptors()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names are bytes, and go out as they are
    try:
        words = list(sys.argv[1:] if arguments is None else arguments)
        with command.make_context(name, words) as invoked:  # click's main would hide a closed pipe
            status = command.invoke(invoked)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.UsageError as error:
        context = error.ctx
        hint = f" (see {context.command_path} --help)" if context else ""
        return complain(name, f"{error.format_message().rstrip('.')}{hint}", _USAGE)
    except click.ClickException as error:
        return complain(name, error.format_message(), error.exit_code)
    except AqueError as error:
        return complain(name, str(error), type(error).exit_status)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return 128 + signal.SIGPIPE
    except OSError as error:
        _drop_output()
        place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        return complain(name, f"{place}{error.strerror or error}", _NO)


def _hold_descriptors() -> None:
    """Open those of 0, 1 and 2 that were closed, or the queue would be opened as one of them."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
            mode = "w" if descriptor else "r"
            setattr(sys, name, open(descriptor, mode, closefd=False))  # noqa: SIM115


def _drop_output() -> None:
    """Have Python not try again, at its exit, to write what cannot be written."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError:
        pass


def complain(name: str, text: str, status: int) -> int:
    print(f"{name}: {text}", file=sys.stderr)
    return status
