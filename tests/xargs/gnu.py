"""Own how the tests run the real GNU xargs, and what is compared with it."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Sequence

import pytest

from aque.commands.xargs import batches, options

#: A command that shows its arguments so that no two lists look alike.
DUMP = ("sh", "-c", 'printf "%s:" $#; [ $# = 0 ] || printf "%s\\0" "$@"', "sh")
#: A small environment, the same for both.
ENVIRON = {b"PATH": os.environb.get(b"PATH", b"/usr/bin:/bin")}

#: Standard output, standard error, exit status.
Outcome = tuple[bytes, str, int]


@functools.cache
def path() -> str:
    """Return where GNU xargs 4.9 or later is; without it skip, or under CI fail."""
    found = shutil.which("xargs")
    if found:
        version = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
        if "GNU findutils" in version.stdout:
            return found
    if os.environ.get("CI"):
        pytest.fail("GNU xargs is missing")
    pytest.skip("GNU xargs is missing")


def run(argv: Sequence[str], data: bytes) -> Outcome:
    """Run GNU xargs."""
    ran = subprocess.run(
        ["xargs", *argv],
        executable=path(),
        input=data,
        capture_output=True,
        env=ENVIRON,
        check=False,
    )
    return ran.stdout, os.fsdecode(ran.stderr), ran.returncode


def run_ours(argv: Sequence[str], data: bytes, chunk: int) -> Outcome:
    """Say what ours would do with `DUMP`, the input coming in chunks."""
    try:
        opts = options.parse(argv, ENVIRON)
    except options.UsageError as error:
        return b"", _told([*error.warnings, str(error)]), error.exit_status
    ours = batches.Batches(opts, ENVIRON)
    ready = []
    for start in range(0, len(data), chunk):
        if not ours.ended:
            ready += ours.feed(data[start : start + chunk])
    ready += ours.finish()
    messages = [*opts.warnings, *ours.warnings, *([str(ours.error)] if ours.error else [])]
    return b"".join(map(_dumped, ready)), _told(messages), 1 if ours.error else 0


def _dumped(argv: list[bytes]) -> bytes:
    arguments = argv[len(DUMP) :]
    return b"%d:" % len(arguments) + b"".join(word + b"\0" for word in arguments)


def _told(messages: Sequence[str]) -> str:
    return "".join(f"xargs: {text}\n" for text in messages).replace("aque-xargs", "xargs")
