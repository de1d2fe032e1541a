"""Own the peer of the Python library: huey on SQLite, with processes as its workers."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import place

#: Storage options and consumer options.
BEST: tuple[Mapping[str, Any], tuple[str, ...]] = (
    {"fsync": False, "results": True}, ("-d", "0.001", "-m", "0.001", "-b", "1"),
)  # fmt: skip
SAFE: tuple[Mapping[str, Any], tuple[str, ...]] = (
    {"fsync": True, "results": True}, ("-d", "0.001", "-m", "0.001", "-b", "1"),
)  # fmt: skip
DEFAULT: tuple[Mapping[str, Any], tuple[str, ...]] = ({}, ())


class Huey:
    """A queue of huey's whose consumer runs."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def run(self, number: int) -> None:
        """Submit so many, and get every result."""
        results = [self._module.nothing() for _ in range(number)]
        for result in results:
            value = result.get(blocking=True, backoff=1, max_delay=0.001)
            assert value == 1

    def stamp(self) -> Any:
        return _Stamp(self._module.stamp())


class _Stamp:
    def __init__(self, result: Any) -> None:
        self._result = result

    def result(self, timeout: float) -> float:
        stamp: float = self._result.get(blocking=True, timeout=timeout, backoff=1, max_delay=0.001)
        return stamp


@contextmanager
def consumer(kind: tuple[Mapping[str, Any], tuple[str, ...]], workers: int) -> Iterator[Huey]:
    """Run huey's consumer with so many processes meanwhile, on a queue of its own."""
    storage, options = kind
    here = str(Path(__file__).parent)
    with place.own_directory() as directory:
        named = {"BENCH_HUEY": os.path.join(directory, "huey.db"), "BENCH_KEY": json.dumps(storage)}
        os.environ.update(named)
        sys.modules.pop("hueyed", None)
        module = importlib.import_module("hueyed")
        module.huey.storage.create_tables() if hasattr(
            module.huey.storage, "create_tables"
        ) else None
        words = [
            sys.executable, "-m", "huey.bin.huey_consumer", "hueyed.huey", "-k", "process",
            "-w", str(workers), "-q", *options,
        ]  # fmt: skip
        environ = {**os.environ, "PYTHONPATH": here}
        process = subprocess.Popen(words, env=environ, stderr=subprocess.DEVNULL)
        try:
            assert module.nothing().get(blocking=True, timeout=20) == 1
            yield Huey(module)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            time.sleep(0)
