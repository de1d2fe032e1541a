"""Own the command line of the benchmarks: bin/bench NAME runs one, bin/bench lists them.

They print ratios against peers measured in the same run, in interleaved rounds, and never assert: a
time says something beside another of the same minute on the same machine only.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from functools import partial

import backlog
import latency
import listing
import python
import startup
import throughput
import walreset
import xargs

BENCHMARKS = {
    "latency": latency.run,
    "xargs": xargs.run,
    "throughput": throughput.run,
    "python": python.run,
    "python-calls": python.run_calls,
    "python-synced": python.run_synced,
    "python-pools": python.run_pools,
    "python-many": python.run_many,
    "python-latency": python.run_latency,
    "startup": startup.run,
    "status": listing.run,
    "claim": backlog.run,
    "wal-reset": walreset.run,
}
#: What takes minutes has a shorter form for when all are run.
_IN_ALL = {
    **{name: run for name, run in BENCHMARKS.items() if name != "wal-reset" and "-" not in name},
    "status": listing.run_shortly,
    "claim": backlog.run_shortly,
}


def main() -> int:
    """Run the benchmarks named on the command line."""
    parser = ArgumentParser(prog="bin/bench", description="Measure aque against its peers.")
    parser.add_argument("name", nargs="?", choices=[*BENCHMARKS, "all"])
    parser.add_argument(
        "-n", "--number", type=int, help="tasks a round; for latency samples, for wal-reset seconds"
    )
    parser.add_argument("-r", "--rounds", type=int, default=5, help="rounds (not for latency)")
    parser.add_argument(
        "--rows", help=f"for xargs: only these, with commas between: {', '.join(xargs.ROWS)}"
    )
    given = parser.parse_args()
    if given.rows and (
        given.name != "xargs" or not {*xargs.ROWS}.issuperset(given.rows.split(","))
    ):
        parser.error(f"--rows is for xargs, and some of {', '.join(xargs.ROWS)}")
    if given.name is None:
        print("\n".join(f"bin/bench {name:<10}  {_about(name)}" for name in BENCHMARKS))
        print("bin/bench all")
        return 0
    _clean_environment()
    print(f"{os.cpu_count()} cpus, load {os.getloadavg()[0]:.2f}: the less else runs, the better")
    chosen = _IN_ALL if given.name == "all" else {given.name: BENCHMARKS[given.name]}
    if given.rows:
        chosen = {"xargs": partial(xargs.run, rows=given.rows.split(","))}
    for run in chosen.values():
        run(given.number, given.rounds)
    return 0


def _clean_environment() -> None:
    """Measure what a user has: no settings of a queue, and bytecode that is kept."""
    for name in list(os.environ):
        if name.startswith("AQUE_") or name == "PYTHONDONTWRITEBYTECODE":
            del os.environ[name]


def _about(name: str) -> str:
    return (BENCHMARKS[name].__doc__ or "").partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
