"""aque-xargs: a drop-in for GNU xargs whose commands are tasks of a queue.

Each command is a task under one group, run by a worker in this process, so that it can be listed,
killed and retried while it runs and after. Where no queue can be had a private one is used that
goes with us: a script never breaks for it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

NAME = "aque-xargs"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as xargs does and return its exit status; an interrupt ends this process by itself."""
    from aque import proctitle
    from aque.commands.xargs import options
    from aque.commands.xargs.settings import Options

    proctitle.set_comm(NAME)
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        parsed: Options = options.parse(words, os.environb)
    except options.UsageError as error:
        for warning in error.warnings:
            say(warning)
        say(str(error))
        return error.exit_status
    for warning in parsed.warnings:
        say(warning)
    if parsed.help:
        print(options.usage())
        return 0
    if parsed.version:
        import aque

        print(f"{NAME} (aque) {aque.__version__}")
        return 0
    return _run(parsed)


def say(text: str) -> None:
    print(f"{NAME}: {text}", file=sys.stderr, flush=True)


def _run(parsed: object) -> int:
    from aque.commands.xargs import run
    from aque.errors import AqueError

    try:
        status = run.run(parsed)  # type: ignore[arg-type]
    except AqueError as error:
        say(str(error))
        return 1
    if status < 0:  # ended by a signal: so that a shell sees it, end by it
        sys.stdout.flush()
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


if __name__ == "__main__":
    sys.exit(main())
