"""The program of an aque-guard: ends what a worker leaves when it is killed.

Nobody can catch SIGKILL, so a worker that gets it (or that the system ends for want of memory)
leaves its jobs running. Whoever next looks at the queue ends them, but that may be tomorrow. The
guard does it at once. The worker tells it, on a pipe, whom it has started and who has ended; when
the pipe closes without a goodbye, the guard ends what is left (leftovers.py), and then itself.

What was rejected: PR_SET_PDEATHSIG reaches only the job itself, is lost over a setuid exec, and
posix_spawn cannot set it. A guard forked from the worker would have its name, its memory and its
locks: so it is a program of its own, in a session of its own, which closes all it inherits but the
pipe. A guard above the worker, as its parent, would change the worker's pid for whoever started it.

Young jobs are not told: a message for each would cost a fast worker more than it is worth, and they
carry its mark. Told are those that have lived as long as it takes to be recorded, since by then
they may have cleared their environment, and Python runners, whose tasks may overwrite it.

Beside `aque-xargs`, whose commands share its terminal, it does one thing more. Ctrl-Z may stop a
command before its exec, and until that the one who started it sleeps in the kernel (vfork(2)), and
cannot stop itself as it should. So the guard lets such a command go on.

One line each: the token; `shared`; `+ PID STARTED LEADS_SESSION`; `- PID`; `bye`. Over a reload the
guard of the old code stays, so these lines must keep their meaning.
"""

from __future__ import annotations

import os
import select
import signal
import time

from aque import proctitle
from aque.worker import leftovers, processes
from aque.worker.leftovers import Leader

BYE = "bye"
#: Says that the worker's commands share its terminal.
SHARED = "shared"
#: Loads this from the aque package's own directory: neither site nor aque/__init__ is imported.
BOOT = (
    "import sys; aque = sys.modules['aque'] = type(sys)('aque'); aque.__path__ = sys.argv[1:];"
    " from aque.worker import guard; guard.main()"
)
#: Blocked from birth (by whoever spawns us), as there is no moment in which they may end us.
IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
_READ_SIZE = 65536
#: Seconds between two looks for a command that was stopped too soon.
_LOOK = 0.25
#: Seconds in which what was killed should have gone; then it is looked for and killed again, after
#: a pause that doubles, up to the last.
_PATIENCE, _PATIENCE_MOST = 1.0, 60.0


def main() -> None:
    proctitle.set_comm("aque-guard")
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    _close_inherited()
    watch = _Watch()
    worker = os.getppid()
    while data := os.read(0, _READ_SIZE):
        watch.hear(data)
        while watch.is_shared and not select.select([0], [], [], _LOOK)[0]:
            processes.continue_unborn(worker)
    if not watch.is_over:
        _end(watch)


def _end(watch: _Watch) -> None:
    """End all that is left. What waits for a device dies only when that answers, so look again."""
    patience = _PATIENCE
    while not leftovers.end(watch.leaders.values(), watch.token, time.monotonic() + _PATIENCE):
        time.sleep(patience)
        patience = min(2 * patience, _PATIENCE_MOST)


class _Watch:
    """Whom the worker has told of. `is_over` once it said goodbye, or if it never said anything."""

    def __init__(self) -> None:
        self.token = ""
        self.is_over = True
        self.is_shared = False
        self.leaders: dict[int, Leader] = {}
        self._rest = ""

    def hear(self, data: bytes) -> None:
        """Take in whole lines; what the worker could not finish counts for nothing."""
        *lines, self._rest = (self._rest + data.decode()).split("\n")
        for line in lines:
            self._take(line.split())

    def _take(self, words: list[str]) -> None:
        if words[0] == "+":
            pid, started, leads_session = map(int, words[1:])
            self.leaders[pid] = Leader(pid, started, bool(leads_session))
        elif words[0] == "-":
            self.leaders.pop(int(words[1]), None)
        elif words[0] == SHARED:
            self.is_shared = True
        else:
            self.is_over = words[0] == BYE
            self.token = words[0]


def _close_inherited() -> None:
    for name in os.listdir("/dev/fd"):
        if int(name) > 2:
            try:
                os.close(int(name))
            except OSError:
                pass  # the listing's own
