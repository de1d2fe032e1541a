"""Own the border between a command and its process: names, errors, exit statuses.

Every command ends the same way: 0, 1 for no, 2 for usage, 3 for a queue that cannot be used; one
line that says what is wrong; quietly on a closed pipe, and with 130 on Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

import click

from aque import proctitle
from aque.errors import AqueError

INTERRUPTED = 128 + signal.SIGINT
_USAGE = 2


def run(command: click.Command, name: str, arguments: Sequence[str] | None = None) -> int:
    """Run a command by its name, as `aque-submit`, and return its exit status."""
    proctitle.set_comm(name)
    try:
        status = command.main(arguments, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
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
        # What is still buffered has no reader; without this Python complains at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 128 + signal.SIGPIPE


def complain(name: str, text: str, status: int) -> int:
    print(f"{name}: {text}", file=sys.stderr)
    return status
