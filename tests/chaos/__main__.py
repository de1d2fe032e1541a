"""Own the command line of the chaos: many processes against one queue, all of them being killed.

Submitters, workers, followers, runs of aque-xargs, killers and retriers share a queue, while
SIGKILL, SIGHUP and SIGSTOP with SIGCONT fall upon all of them and what they run. Then nobody is
disturbed any more, all that is left is worked off, what was ended on purpose is retried, and what
the queue promised is compared with what was seen.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

import attacks
import verdict
from cast import Cast
from ledger import Ledger

from aque import brokers, states
from aque.brokers.base import Broker
from aque.brokers.questions import Selection
from aque.worker import processes

_UNENDED = tuple(sorted(set(states.STATES) - states.COMPLETE_STATES))
#: By the size of the company: how many play each part, and seconds between two signals.
_CASTS = {
    "full": (
        {"worker": 4, "submitter": 2, "command": 2, "follower": 2, "xargs": 1, "killer": 1}, 0.1
    ),
    "small": (
        {"worker": 2, "submitter": 1, "command": 1, "follower": 1, "xargs": 1, "killer": 1}, 0.2
    ),
}  # fmt: skip
#: Seconds in which what is left when the attacks are over must be worked off.
_PATIENCE = 120.0
_TICK = 0.02


def main() -> int:
    parser = ArgumentParser(prog="bin/chaos", description="Kill all who use a queue, and look.")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long; 1 unless given")
    parser.add_argument("--seed", type=int, help="of what is chosen by chance")
    parser.add_argument("--small", action="store_true", help="few processes")
    given = parser.parse_args()
    if sys.platform != "linux":
        parser.exit(2, "bin/chaos: only on Linux can it be sure to signal nobody else\n")
    if given.seed is None:
        given.seed = random.SystemRandom().randrange(1_000_000)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # and end all
    directory = Path(tempfile.mkdtemp(prefix="aque-chaos-", dir=_memory()))
    found = list(_play(given, directory))
    for line in found[:50]:
        print(f"wrong: {line}")
    if found:
        print(f"{len(found)} wrong; all of it is in {directory}")
        return 1
    shutil.rmtree(directory)
    return 0


def _memory() -> str | None:
    """Return a directory in memory, where there is one: what is tested is not the disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _play(given: Namespace, directory: Path) -> Iterator[str]:
    for name in [name for name in os.environ if name.startswith("AQUE_")]:
        del os.environ[name]
    path = str(directory / "queue.db")
    os.environ["AQUE_BROKER"] = path
    processes.adopt_orphans()
    ledger, chance = Ledger(), random.Random(given.seed)
    company, interval = _CASTS["small" if given.small else "full"]
    print(f"seed {given.seed}, {given.minutes:g} minutes, {company}", flush=True)
    broker = brokers.from_url(path)
    broker.set_settings({"crashes": 1000})  # else a task that is often alone is given up
    cast = Cast(directory, ledger, chance)
    try:
        for name, count in company.items():
            cast.add(name, count)
        _disturb(cast, attacks.Attacker(ledger, chance, interval), given.minutes * 60)
        _work_off(cast, broker)
        first = list(verdict.judge(broker, cast))
        _retry(cast, broker)
        again = list(verdict.judge(broker, cast))
        unsuccessful = _unsuccessful(cast, broker)
        cast.dismiss("worker", signal.SIGTERM, 30)
        doubled = [f"task {id} succeeded and ran again" for id in verdict.succeeded_before(broker)]
        found = [*first, *(line for line in again if line not in first), *doubled]
        found += [f"task {id} was retried, and has not succeeded" for id in unsuccessful]
        yield from found
        yield from verdict.outputs(cast, broker)
        yield from verdict.strays(path)
        yield from verdict.inside(cast, path)
        yield from verdict.complaints(cast.said)
        _tell(ledger, broker, found)
    finally:
        broker.close()
        _end_all()


def _disturb(cast: Cast, attacker: attacks.Attacker, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        cast.tend()
        attacks.reap_orphans(cast.pids())
        attacker.act(cast.pids("submitter"))
        time.sleep(_TICK)
    attacker.cease()


def _work_off(cast: Cast, broker: Broker) -> None:
    """Submit nothing more, and let all that is there come to its end."""
    cast.dismiss("submitter", signal.SIGKILL, 10)
    cast.dismiss("command", None, 60)
    cast.dismiss("killer", None, 60)
    cast.dismiss("xargs", None, 60)
    _wait(cast, broker)
    cast.dismiss("follower", None, 30)


def _wait(cast: Cast, broker: Broker) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        cast.tend()
        attacks.reap_orphans(cast.pids())
        if not broker.count(Selection(statuses=_UNENDED)):
            return
        time.sleep(_TICK)


def _unsuccessful(cast: Cast, broker: Broker) -> list[int]:
    found = broker.statuses(sorted(cast.ledger.acknowledged))
    return [id for id, status in found.items() if status != states.SUCCESS]


def _retry(cast: Cast, broker: Broker) -> None:
    """Retry what was ended on purpose; now nothing keeps it from success."""
    failed = _unsuccessful(cast, broker)
    complete = broker.statuses(failed)
    failed = [id for id in failed if complete[id] in states.COMPLETE_STATES]
    if failed:
        cast.ledger.counts["retried in the end"] = len(failed)
        done = cast.run("aque-retry", *map(str, failed))
        if done.returncode:
            cast.ledger.wrong.append(f"aque-retry: {done.stderr.decode()}")
        _wait(cast, broker)


def _tell(ledger: Ledger, broker: Broker, found: list[str]) -> None:
    for name in sorted(ledger.counts):
        print(f"{ledger.counts[name]:>7,}  {name}")
    hits = sum(n for name, n in ledger.counts.items() if name.startswith("SIG"))
    kills = sum(n for name, n in ledger.counts.items() if name.startswith("SIGKILL"))
    double = sum("twice" in line or "again" in line or "after it" in line for line in found)
    lost = sum("lost" in line or "for ever" in line for line in found)
    tasks = broker.count(Selection())
    print(
        f"{kills:,} kills of {hits:,} signals, {tasks:,} tasks, "
        f"{len(ledger.acknowledged):,} acknowledged, {lost} lost, {double} double"
    )


def _end_all() -> None:
    """Leave nobody behind, whatever went wrong."""
    deadline = time.monotonic() + 10
    while (left := attacks.descendants()) and time.monotonic() < deadline:
        processes.send(left, signal.SIGKILL)
        time.sleep(_TICK)
        attacks.reap_orphans(set())


if __name__ == "__main__":
    sys.exit(main())
