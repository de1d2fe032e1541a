"""Own what aque-doctor looks at, in its order, and what it can put right."""

from __future__ import annotations

import os
from collections.abc import Iterator

from aque import bell, brokers
from aque.brokers.base import Broker
from aque.brokers.questions import Finding
from aque.errors import BrokerError
from aque.worker import host, liveness, recovery
from aque.worker.liveness import Observer


def examine(url: str | None, repair: bool) -> Iterator[Finding]:
    """Yield all findings; with `repair`, put right first what can be."""
    if repair:
        brokers.repair(url)
    is_usable = True
    for finding in brokers.diagnose(url):
        is_usable = is_usable and not (finding.remedy and finding.subject != "disk")
        yield finding
    if brokers.is_own_to_come(url):
        if is_usable:
            text = f"there is none yet at {brokers.path_of(url)}; aque-submit makes it"
            yield Finding("queue", text)
        return
    try:
        broker = brokers.from_url(url, create=False)
    except BrokerError as error:
        if is_usable:  # else that was said
            yield _refused(error)
        return
    try:
        yield from _inside(broker, repair)
    finally:
        broker.close()


def _inside(broker: Broker, repair: bool) -> Iterator[Finding]:
    try:
        if repair:
            recovery.recover(Observer(broker, host.this_host()))
            broker.repair()
            for path in _strays(broker):
                os.unlink(path)
        yield from broker.examine()
        yield _bells(broker)
        yield _workers(broker)
        yield _files(broker)
    except BrokerError as error:
        yield _refused(error)


def _refused(error: BrokerError) -> Finding:
    text, _, remedy = str(error).partition("; ")
    return Finding("queue", text, remedy or "name another queue with --broker")


def _bells(broker: Broker) -> Finding:
    listener = broker.listen(bell.READY)
    try:
        if listener.fileno() >= 0:
            return Finding("bells", "workers are told at once")
        return Finding("bells", f"cannot be heard here; looked for every {bell.SHARED_POLL[1]:g} s")
    finally:
        listener.close()


def _workers(broker: Broker) -> Finding:
    here = host.this_host()
    workers = broker.workers()
    dead = [worker for worker in workers if liveness.is_gone(broker, worker, here)]
    if dead:
        names = ", ".join(worker.name for worker in dead)
        return Finding(
            "workers", f"{len(dead)} died and nobody has seen to what they ran ({names})",
            "the next worker does, or aque-doctor --repair",
        )  # fmt: skip
    return Finding("workers", f"{len(workers)}, none of them dead" if workers else "none is there")


def _files(broker: Broker) -> Finding:
    strays = _strays(broker)
    if strays:
        return Finding(
            "files", f"{len(strays)} belong to no task and no worker, as {strays[0]}",
            "aque-doctor --repair removes them",
        )  # fmt: skip
    return Finding("files", "each belongs to a task or a worker")


def _strays(broker: Broker) -> list[str]:
    """Return the outputs of tasks that are gone, and the lives of workers that have ended."""
    outputs = os.path.join(broker.directory, "output")
    strays = []
    for name in _names(outputs):
        id = name.partition("-")[0]
        if not id.isdigit() or not broker.statuses([int(id)]):
            strays.append(os.path.join(outputs, name))
    tokens = {worker.token for worker in broker.workers()}
    lives = os.path.join(broker.directory, "workers")
    for name in _names(lives):
        if name not in tokens and not host.is_alive(broker, name):
            strays.append(os.path.join(lives, name))
    return strays


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
