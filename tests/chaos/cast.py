"""Own the roles: processes that submit, work, follow, kill and retry, each replaced when it ends.

What a role was told by its process (an id that was printed, an exit status) goes into the ledger.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import work
from ledger import Ledger

_SUBMITTER = Path(__file__).with_name("submitter.py")
_RECENT = 200
_XARGS_ITEMS = 30
#: Seconds from the end of a process to the start of the one that replaces it, at most.
_PAUSE_MOST = 0.5

#: What one process is: its words, and what is done with what it said and its exit status.
Part = tuple[Sequence[str], Callable[[bytes, int], None]]


class Role:
    """One place on the stage: `next_part` says what to play there, None that there is nothing."""

    def __init__(self, name: str, next_part: Callable[[], Part | None]) -> None:
        self.name = name
        self.next_part = next_part
        self.process: subprocess.Popen[bytes] | None = None
        self.hear: Callable[[bytes, int], None] = lambda said, status: None
        self.said = Path()
        self.next_at = 0.0


class Cast:
    """All who play against the queue, in a directory of its own; `said` is what they complain."""

    def __init__(self, directory: Path, ledger: Ledger, chance: random.Random) -> None:
        self.directory = directory
        self.ledger = ledger
        self.ran = directory / "ran"
        self.said = directory / "said"
        self._chance = chance
        self._roles: list[Role] = []
        self._number = 0
        self._complaints = open(self.said, "ab")  # noqa: SIM115
        self._environ = {**os.environ, "RAN": str(self.ran)}
        self.ran.mkdir()

    def add(self, name: str, count: int) -> None:
        """Have so many play a part: its method's name."""
        self._roles += [Role(name, getattr(self, name)) for _ in range(count)]

    def tend(self) -> None:
        """Hear those who have ended, and replace them."""
        for role in self._roles:
            if role.process is not None and role.process.poll() is not None:
                self._end(role)
            if role.process is None and time.monotonic() >= role.next_at:
                self._begin(role)
            if role.name == "submitter" and role.process is not None:
                self._acknowledge_all(role.said.read_bytes(), 0)

    def pids(self, name: str | None = None) -> set[int]:
        playing = [r for r in self._roles if r.process is not None and name in (None, r.name)]
        return {role.process.pid for role in playing if role.process is not None}

    def dismiss(self, name: str, number: int | None, timeout: float) -> None:
        """Have a role play no more: signal it, if so, and wait for its end."""
        roles = [role for role in self._roles if role.name == name]
        self._roles = [role for role in self._roles if role.name != name]
        for role in roles:
            if role.process is not None and number is not None:
                role.process.send_signal(number)
        for role in roles:
            if role.process is None:
                continue
            try:
                role.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.ledger.wrong.append(f"{role.process.args!r} has not ended in {timeout:g} s")
                role.process.kill()
                role.process.wait()
            self._end(role)

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end, nobody disturbing it."""
        return subprocess.run(
            [_path(command), *arguments], capture_output=True, check=False, env=self._environ,
            timeout=300,
        )  # fmt: skip

    # Parts

    def worker(self) -> Part:
        return [_path("aque-worker"), "--quiet"], lambda said, status: None

    def submitter(self) -> Part:
        seed = str(self._chance.getrandbits(32))
        return [sys.executable, str(_SUBMITTER), seed], self._acknowledge_all

    def command(self) -> Part:
        """One aque-submit; every third waits for a task submitted lately."""
        one = work.choose(self._chance)
        options = ["--cpus", "0.25"]
        recent = self._recent()
        if recent and self._chance.random() < 0.3:
            options += ["--after-any", str(recent)]

        def hear(said: bytes, status: int) -> None:
            if said.endswith(b"\n"):
                self.ledger.acknowledge(int(said), one)

        return [_path("aque-submit"), *options, *one.words()], hear

    def follower(self) -> Part | None:
        """One aque-wait or aque-output --watch; an exit status of 0 says that it succeeded."""
        id = self._recent()
        if id is None:
            return None
        if self._chance.random() < 0.5:
            return [_path("aque-wait"), str(id)], lambda said, status: self._followed(id, status)
        words = [_path("aque-output"), "--watch", "--stdout", str(id)]
        return words, lambda said, status: self._watched(id, said, status)

    def xargs(self) -> Part:
        self._number += 1
        run = self._number
        items = self._chance.randint(1, _XARGS_ITEMS)
        path = self.directory / f"items{run}"
        path.write_text("".join(f"{item}\n" for item in range(items)))
        words = [_path("aque-xargs"), "-a", str(path), "-n1", "-P2", "--name", f"run {run}"]
        words += ["env", f"RUN={run}", "sh", "-c", work.XARGS_SCRIPT, "sh"]

        def hear(said: bytes, status: int) -> None:
            path.unlink()
            if status == 0:
                self.ledger.xargs_done[run] = items
                self.ledger.counts["runs of aque-xargs that succeeded"] += 1

        return words, hear

    def killer(self) -> Part | None:
        """One aque-kill or aque-retry of a task submitted lately."""
        ledger = self.ledger
        if self._chance.random() < 0.4:
            failed = sorted((ledger.killed | ledger.hurt) & ledger.acknowledged.keys())
            if not failed:
                return None
            id = self._chance.choice(failed)
            return [_path("aque-retry"), str(id)], lambda said, status: self._count("retry", status)
        recent = self._recent()
        if recent is None:
            return None
        ledger.killed.add(recent)
        option = self._chance.choice(["-TERM", "-9", "-INT"])
        return [_path("aque-kill"), option, str(recent)], lambda said, s: self._count("kill", s)

    # What they told

    def _acknowledge_all(self, said: bytes, status: int) -> None:
        whole = said[: said.rfind(b"\n") + 1].decode()
        for line in whole.splitlines():
            id, lines, seconds, company = line.split()
            if int(id) not in self.ledger.acknowledged:
                one = work.Work(int(lines), float(seconds), company)
                self.ledger.acknowledge(int(id), one)

    def _followed(self, id: int, status: int) -> None:
        if status == 0:
            self.ledger.note_success(id)
            self.ledger.counts["successes that a follower saw"] += 1

    def _watched(self, id: int, said: bytes, status: int) -> None:
        self._followed(id, status)
        expected = self.ledger.acknowledged[id].text(id)
        if status == 0 and not said.endswith(expected):
            self.ledger.wrong.append(f"aque-output --watch {id} ended with 0 and showed other text")

    def _count(self, act: str, status: int) -> None:
        if status == 0:
            self.ledger.counts[f"aque-{act} that succeeded"] += 1

    # Processes

    def _begin(self, role: Role) -> None:
        part = role.next_part()
        if part is None:
            role.next_at = time.monotonic() + _PAUSE_MOST
            return
        words, role.hear = part
        self._number += 1
        role.said = self.directory / f"out{self._number}"
        with open(role.said, "ab") as said:
            role.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=said, stderr=self._complaints,
                env=self._environ, start_new_session=True,
            )  # fmt: skip

    def _end(self, role: Role) -> None:
        assert role.process is not None
        status = role.process.wait()
        self.ledger.counts[f"{role.name}s"] += 1
        role.hear(role.said.read_bytes(), status)
        role.said.unlink()
        role.process = None
        role.next_at = time.monotonic() + self._chance.uniform(0, _PAUSE_MOST)

    def _recent(self) -> int | None:
        order = self.ledger.order[-_RECENT:]
        return self._chance.choice(order) if order else None


def _path(command: str) -> str:
    """Return the path of a command as bin/setup installed it."""
    return os.path.join(os.path.dirname(sys.executable), command)
