"""Own how long a command line may be: what the system allows, and what is used unless -s says so.

GNU xargs counts the bytes of every argument with its NUL, against ARG_MAX less the environment less
2,048 bytes (POSIX asks for that headroom), and uses 128 KiB unless told otherwise. The kernel adds
a pointer for every string too, and refuses a single string of more than 32 pages. GNU xargs learns
that from a failed exec and tries again with fewer; a batch here becomes a recorded task, so what
the kernel counts is counted beforehand.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Mapping

#: What POSIX wants left free for a command to call another.
HEADROOM = 2048
#: What is used when -s does not say.
DEFAULT_CHARS = 128 * 1024
#: The most that --max-procs takes.
MOST_PROCS = 2**31 - 1
#: The bytes of a pointer, which the kernel counts for each string.
POINTER = struct.calcsize("P")


def environment_size(environ: Mapping[bytes, bytes]) -> int:
    """Count the environment as exec does: each `NAME=value` and its NUL."""
    return sum(len(name) + len(value) + 2 for name, value in environ.items())


def most_chars(environ: Mapping[bytes, bytes]) -> int:
    """Return the most that -s may ask for; 0 or less when the environment leaves no room."""
    return os.sysconf("SC_ARG_MAX") - HEADROOM - environment_size(environ)


def kernel_room(environ: Mapping[bytes, bytes]) -> int:
    """Return the bytes left for arguments and their pointers."""
    # Two NULL pointers end the lists, one string is the file's name.
    return most_chars(environ) - POINTER * (len(environ) + 3)


def longest_argument() -> int:
    """Return the most bytes that one argument may have, its NUL included."""
    if sys.platform == "linux":
        return 32 * os.sysconf("SC_PAGE_SIZE")  # MAX_ARG_STRLEN
    return os.sysconf("SC_ARG_MAX")


def report(environ: Mapping[bytes, bytes], max_chars: int) -> str:
    """Return what --show-limits says, newline included."""
    used, most = environment_size(environ), most_chars(environ)
    return (
        f"Your environment variables take up {used} bytes\n"
        f"POSIX upper limit on argument length (this system): {most}\n"
        "POSIX smallest allowable upper limit on argument length (all systems): 4096\n"
        f"Maximum length of command we could actually use: {max(most - used, 0)}\n"
        f"Size of command buffer we are actually using: {max_chars}\n"
        f"Maximum parallelism (--max-procs must be no greater): {MOST_PROCS}\n"
    )


def report_on_terminal(command: str, run_if_empty: bool) -> str:
    """Return what --show-limits adds when the items are to be typed at a terminal."""
    text = (
        "\nExecution of xargs will continue now, and it will try to read its input and run "
        "commands; if this is not what you wanted to happen, please type the end-of-file "
        "keystroke.\n"
    )
    if run_if_empty:
        text += (
            f"Warning: {command} will be run at least once.  If you do not want that to happen, "
            "then press the interrupt keystroke.\n"
        )
    return text
