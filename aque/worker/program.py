"""Own how a worker's program is started again: by an exec, or in a child that shows it starts."""

from __future__ import annotations

import os
import sys

from aque.record import record
from aque.worker.signals import NOTED

#: Names the descriptor of the state in the environment of the program that is exec'd.
STATE = "AQUE_RELOAD"
#: Stands there instead in a child that is to show that the program starts.
_CHECK = "check"


@record(frozen=True)
class Program:
    """How this process was started, to be started so again."""

    directory: str
    arguments: tuple[str, ...]

    def execute(self, environ: dict[str, str]) -> None:
        """Become this program. Raises OSError, and goes on, where it cannot be executed."""
        os.chdir(self.directory)
        os.execve(self.arguments[0], self.arguments, environ)


def this_program() -> Program:
    """Find out how to start this process again; to be called before anything changes directory.

    The script itself is executed where it can be, so that the kernel names the process after it.
    """
    script = os.path.abspath(sys.argv[0])
    if os.access(script, os.X_OK):
        return Program(os.getcwd(), (script, *sys.argv[1:]))
    original = [script if argument == sys.argv[0] else argument for argument in sys.orig_argv[1:]]
    return Program(os.getcwd(), (sys.executable, *original))


def spawn_check(program: Program, said: int) -> int:
    """Start the program in a child that ends once it could work; return its pid. Raises OSError.

    What it says goes to the descriptor `said`. Signals are blocked as over the exec: it has the
    worker's name, and a killall that meets it must not count as a failure.
    """
    os.chdir(program.directory)
    null = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    streams = [(os.POSIX_SPAWN_DUP2, said, number) for number in (1, 2)]
    return os.posix_spawn(
        program.arguments[0], program.arguments, {**os.environ, STATE: _CHECK},
        file_actions=[null, *streams], setsigmask=NOTED,
    )  # fmt: skip


def is_check() -> bool:
    """Whether this process only is to show that it could be a worker."""
    return os.environ.get(STATE) == _CHECK
