"""Own who is hit: a process of ours by chance, and KILL, HUP, or STOP with CONT some time after.

Ours are our descendants. Linux makes us the parent of those whose own has ended, so none gets lost,
and none but ours is ever signalled: a descriptor of the process is opened before it is looked at,
and the signal goes there, so that a number which is used again by then means nobody.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator

from ledger import Ledger

from aque.worker import processes
from aque.worker.processes import Process

#: What is hit, by the name of its process, and how often; what has another name is of a task.
_WEIGHTS = {
    "aque-worker": 40, "aque-guard": 8, "aque-runner": 6, "aque-xargs": 8, "submitter": 5,
    "aque-submit": 6, "aque-kill": 6, "aque-retry": 4, "aque-wait": 4, "aque-output": 4,
    "a task": 9,
}  # fmt: skip
_SIGNALS = {signal.SIGKILL: 40, signal.SIGHUP: 30, signal.SIGSTOP: 30}
_STOPPED_MOST = 1.0


class Attacker:
    """Hits one process each `interval` seconds, more or less."""

    def __init__(self, ledger: Ledger, chance: random.Random, interval: float) -> None:
        self._ledger = ledger
        self._chance = chance
        self._interval = interval
        self._next_at = time.monotonic()
        self._stopped: list[tuple[float, Process]] = []

    def act(self, submitters: set[int]) -> None:
        """Do what is due; these pids are programs that submit."""
        now = time.monotonic()
        self._let_go_on(now)
        if now >= self._next_at:
            self._next_at = now + self._chance.uniform(0, 2 * self._interval)
            self._hit(submitters)

    def cease(self) -> None:
        """Let all go on that was stopped."""
        self._let_go_on(float("inf"))

    def _hit(self, submitters: set[int]) -> None:
        roles: dict[str, list[Process]] = {}
        for process in descendants():
            roles.setdefault(_role(process.pid, submitters), []).append(process)
        names = sorted(roles)
        if not names:
            return
        (role,) = self._chance.choices(names, [_WEIGHTS[name] for name in names])
        (number,) = self._chance.choices(list(_SIGNALS), list(_SIGNALS.values()))
        victim = self._chance.choice(roles[role])
        with _held(victim) as descriptor:
            if descriptor is None:
                return
            self._note(victim, role, number)
            signal.pidfd_send_signal(descriptor, number)
        self._ledger.counts[f"{signal.Signals(number).name} {role}"] += 1

    def _note(self, victim: Process, role: str, number: int) -> None:
        if number == signal.SIGSTOP:
            until = time.monotonic() + self._chance.uniform(0, _STOPPED_MOST)
            self._stopped.append((until, victim))
            return
        self._ledger.hit.add(victim.pid)
        id = _environ(victim.pid).get("AQUE_TID")
        if id is not None:
            self._ledger.hurt.add(int(id))
        elif role in ("aque-runner", "a task"):  # one so young has no name yet
            self._ledger.young_hits.append(time.time())

    def _let_go_on(self, now: float) -> None:
        for until, process in self._stopped:
            if until <= now:
                with _held(process) as descriptor:
                    if descriptor is not None:
                        signal.pidfd_send_signal(descriptor, signal.SIGCONT)
        self._stopped = [(until, process) for until, process in self._stopped if until > now]


class _held:
    """Within it, the descriptor of this very process; None where it has ended."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._descriptor: int | None = None

    def __enter__(self) -> int | None:
        try:
            self._descriptor = os.pidfd_open(self._process.pid)
        except ProcessLookupError:
            return None
        return None if processes.find_again(self._process) is None else self._descriptor

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


def descendants() -> list[Process]:
    table = processes.Table()
    us = table.by_pid[os.getpid()]
    return [p for p in table.with_descendants([us]) if p is not us]


def marked(broker: str) -> list[Process]:
    """Return the processes that were started for a queue, wherever they are now."""
    variable = "AQUE_BROKER"
    found = [p for p in processes.everything() if processes.is_marked(p, variable, broker)]
    url = f"sqlite://{broker}"
    found += [p for p in processes.everything() if processes.is_marked(p, variable, url)]
    return [process for process in found if not process.is_zombie and process.pid != os.getpid()]


def reap_orphans(ours: set[int]) -> None:
    """Reap what has become our child, other than these, whom somebody waits for."""
    for process in processes.everything():
        if process.parent == os.getpid() and process.is_zombie and process.pid not in ours:
            try:
                os.waitpid(process.pid, os.WNOHANG)
            except ChildProcessError:
                pass


def describe(found: list[Process]) -> Iterator[str]:
    for process in found:
        yield f"{process.pid} ({_name(process.pid)}, {process.state}, of {process.parent})"


def _role(pid: int, submitters: set[int]) -> str:
    if pid in submitters:
        return "submitter"
    name = _name(pid)
    return name if name in _WEIGHTS else "a task"


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().rstrip("\n")
    except OSError:
        return "?"


def _environ(pid: int) -> dict[str, str]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            pairs = file.read().decode("utf-8", "surrogateescape").split("\0")
    except OSError:
        return {}
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)
