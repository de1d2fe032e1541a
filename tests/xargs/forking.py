"""Own how ours is run hundreds of times without importing it each time.

A process that has imported all of aque-xargs forks for each run. The child gets the run's own
arguments, environment and descriptors, becomes what a new process would be, and calls the real
`main`; so it is a real run, only its imports are shared.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

_MOST = 1 << 20


class Runs:
    """The client's end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def run(self, argv: Sequence[bytes], descriptors: Sequence[int], env: Mapping[str, str]) -> int:
        """Run ours with these as 0, 1 and 2; return its status, or minus the signal that ended it.

        Raises ConnectionError where the process that forks has ended.
        """
        request = json.dumps({"argv": [os.fsdecode(word) for word in argv], "env": dict(env)})
        socket.send_fds(self._connection, [request.encode()], descriptors)
        answer = self._connection.recv(_MOST)
        if not answer:
            raise ConnectionError("the process that forks has ended")
        return int(answer)


@contextmanager
def started() -> Iterator[Runs]:
    """Start the process that forks, and end it in the end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    number = theirs.fileno()
    words = [sys.executable, __file__, str(number)]
    with ours, subprocess.Popen(words, pass_fds=[number], stdin=subprocess.DEVNULL) as process:
        theirs.close()
        yield Runs(ours)
        ours.close()
        process.wait(10)


def _serve(connection: socket.socket) -> None:
    import aque.commands.xargs.run  # noqa: F401

    while True:
        request, descriptors, _, _ = socket.recv_fds(connection, _MOST, 3)
        if not request:
            return
        pid = os.fork()
        if pid == 0:
            connection.close()
            _become(json.loads(request), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        _, status = os.waitpid(pid, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(request: dict[str, object], descriptors: Sequence[int]) -> None:
    """Be a process that was just started, and run ours; never return."""
    from aque.commands.xargs import main

    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["env"])  # type: ignore[call-overload]
    sys.argv = ["aque-xargs", *request["argv"]]  # type: ignore[misc]
    status = 70
    try:
        status = main()
    finally:
        os._exit(status)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
