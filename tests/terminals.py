"""Own a terminal with a program on it, as a person sees it, whatever the program."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Sequence

import pyte
from support import eventually

KEYS = {"up": "\x1b[A", "down": "\x1b[B", "left": "\x1b[D", "right": "\x1b[C", "escape": "\x1b",
        "end": "\x1b[4~", "home": "\x1b[1~", "enter": "\r", "page-down": "\x1b[6~"}  # fmt: skip


class Terminal:
    """A terminal with a program on it, as a person sees it."""

    def __init__(self, words: Sequence[str], environ: dict[str, str]) -> None:
        self._mine, self._theirs = pty.openpty()
        self._screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self.raw = b""
        self.resize(80, 24)
        self._before = termios.tcgetattr(self._theirs)
        self.process = subprocess.Popen(
            words, stdin=self._theirs, stdout=self._theirs, stderr=self._theirs,
            env={**os.environ, "TERM": "linux", "LC_ALL": "C.UTF-8", **environ},
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._theirs)
        self._reader.join(10)
        os.close(self._mine)

    def _read(self) -> None:
        while True:
            try:
                received = os.read(self._mine, 65536)
            except OSError:  # how Linux tells that the other end was closed
                return
            with self._lock:
                self.raw += received
                self._stream.feed(received)

    @property
    def lines(self) -> list[str]:
        with self._lock:
            return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def is_reverse(self, line: int) -> bool:
        with self._lock:
            return bool(self._screen.buffer[line][1].reverse)

    def resize(self, columns: int, lines: int) -> None:
        """Resize as xterm and tmux do: rows below the cursor go first, and all rows scroll."""
        with self._lock:
            screen = self._screen
            screen.set_margins()
            surplus = range(max(lines, screen.cursor.y + 1), screen.lines)
            for row in surplus:
                screen.buffer.pop(row, None)
            screen.lines -= len(surplus)
            screen.resize(lines, columns)
            screen.ensure_vbounds()
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, *keys: str) -> None:
        for key in keys:
            os.write(self._mine, KEYS.get(key, key).encode())

    def shows(self, *patterns: str) -> str:
        """Wait until all these patterns stand on the screen; return its text."""

        def look() -> str:
            text = self.text
            missing = [p for p in patterns if not re.search(p, text, re.MULTILINE)]
            assert not missing, f"{missing} in\n{text}"
            return text

        return eventually(look)

    def leave(self, status: int) -> None:
        """See that the program ends so, and that the terminal is as it was."""
        assert self.process.wait(30) == status
        assert termios.tcgetattr(self._theirs) == self._before
