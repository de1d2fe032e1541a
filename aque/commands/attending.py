"""The program of an executor's own worker: it ends with its standard input, or with its parent."""

from __future__ import annotations

import sys

from aque.worker import signals

_SIGNALS = signals.Signals()  # first, as in worker.py

from aque.commands import entry, working  # noqa: E402


def main() -> int:
    _SIGNALS.install()
    url, slots, parent = sys.argv[1:]
    options = working.Options(
        broker=url, cpus=None, memory=None, slots=int(slots), name=None, grace=None,
        verbose=False, quiet=False, log_format="text", reload=False,
        parent=int(parent),
    )  # fmt: skip
    return entry.guard("aque-worker", lambda: working.work(_SIGNALS, "attending", options))


if __name__ == "__main__":
    sys.exit(main())
