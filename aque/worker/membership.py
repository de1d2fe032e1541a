"""Own a worker's place in the queue: its record, and the lock that says it lives."""

from __future__ import annotations

import os
import time

from aque import trust
from aque.brokers.base import Broker
from aque.errors import BrokerError
from aque.record import record, replace
from aque.report import WorkerRecord
from aque.worker import host, processes
from aque.worker.host import Host

WORKER = "worker"
XARGS = "xargs"


@record(frozen=True)
class Share:
    """What of its host a worker may use: cpus, bytes of memory, and tasks at a time."""

    cpus: float
    memory: int
    slots: int


@record(frozen=True)
class Membership:
    """An enlisted worker and its host. `life` is the descriptor of its lock."""

    id: int
    token: str
    kind: str
    user: str
    life: int
    here: Host
    share: Share
    name: str | None = None

    def renewed(self, broker: Broker) -> Membership:
        """Return it with a lock that others can find: somebody may have removed the file."""
        if host.has_life(broker, self.token, self.life):
            return self
        member = replace(self, life=host.hold_life(broker, self.token))
        os.close(self.life)
        return member

    def to_record(self) -> WorkerRecord:
        """Return what the queue is to know of it."""
        here, share, pid = self.here, self.share, os.getpid()
        names = host.names() if self.kind == WORKER else ()
        return WorkerRecord(
            id=self.id, token=self.token, kind=self.kind, name=self.name or f"{here.name}:{pid}",
            host=here.name, boot=here.boot, pid_namespace=here.pid_namespace,
            pid=pid, pid_started=processes.start_time(pid), user=self.user, cpus=share.cpus,
            memory=share.memory, slots=share.slots, started_at=time.time(),
            names=" ".join(sorted(names)), platform=here.platform,
        )  # fmt: skip

    def leave(self, broker: Broker) -> None:
        """Say that this worker has ended, all it ran being finished or requeued."""
        broker.dismiss(self.id)
        host.release_life(broker, self.token, self.life)


def join(broker: Broker, here: Host, kind: str, name: str | None, share: Share) -> Membership:
    """Enlist this process as a worker."""
    token = os.urandom(16).hex()
    life = host.hold_life(broker, token)  # before the record: whoever reads it finds it alive
    member = Membership(0, token, kind, trust.user_name(), life, here, share, name)
    try:
        return replace(member, id=broker.enlist(member.to_record()))
    except BrokerError:
        host.release_life(broker, token, life)
        raise
