"""Own what was handed to this process by whoever started it, where Python would not keep it so.

- A closed descriptor 0, 1 or 2 keeps its place, and is closed again in the children.
- In the C locale Python sets LC_CTYPE to C.UTF-8 for itself and all its children (PEP 538).
- An interrupt would be shown as a traceback as long as nobody listens for it.
"""

from __future__ import annotations

import os
import signal

from aque.commands import standard

#: What Python may set LC_CTYPE to.
_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")


def restore() -> None:
    """Undo what Python did; call it first."""
    standard.hold_places()
    _uncoerce_locale()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _uncoerce_locale() -> None:
    if os.environ.get("LC_CTYPE") not in _COERCED:
        return
    try:
        with open("/proc/self/environ", "rb") as file:
            given = file.read().split(b"\0")
    except OSError:
        return  # no /proc: it stays, and does little harm
    ours = [entry for entry in given if entry.startswith(b"LC_CTYPE=")]
    if not ours:
        del os.environ["LC_CTYPE"]
    elif os.fsdecode(ours[0]) != f"LC_CTYPE={os.environ['LC_CTYPE']}":
        os.environ["LC_CTYPE"] = os.fsdecode(ours[0].partition(b"=")[2])
