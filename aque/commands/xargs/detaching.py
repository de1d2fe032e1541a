"""Own --detach: the commands are left to workers, as the children of a group whose id is printed.

-P is kept by a limit of the group's own, of which each command takes a token while it runs, on
whichever host; it goes with the group. The group is in `creating` until all has been read, so that
a run that is killed meanwhile leaves no half of itself: who finds it dead cancels it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from aque import brokers, codec
from aque.brokers.base import Broker
from aque.commands.xargs import place, quoting, say, write
from aque.commands.xargs.batches import Argv
from aque.commands.xargs.items import InputError
from aque.commands.xargs.settings import Options
from aque.commands.xargs.source import Source
from aque.prototype import Prototype
from aque.record import replace
from aque.requirements import group_limit, limits_text
from aque.worker import host, membership
from aque.worker.membership import Share

_BATCH = 1000


def detach(options: Options, source: Source) -> int:
    """Submit a run, print the id of its group, and return the exit status."""
    broker = brokers.from_url(options.broker)
    place.refuse_missing_limits(options, broker)
    here = host.this_host()
    share = Share(here.cpus, here.memory, 1)
    member = membership.join(broker, here, membership.XARGS, None, share)
    (group,) = broker.create([place.make_group(options, member)])
    error = _submit(broker, _model(options, broker, group), options, source)
    counts = broker.count_children([group]).get(group, {})
    place.note_total(broker, group, sum(counts.values()))
    broker.commit([group])
    member.leave(broker)
    if error is not None:
        say(error)
    return write(1, f"{group}\n") or (0 if error is None else 1)


def _submit(broker: Broker, model: Prototype, options: Options, source: Source) -> str | None:
    """Store all commands that can be read; return what is wrong with the input."""
    ascii_only = quoting.is_ascii_only()
    while not source.is_over:
        argvs: list[Argv] = []
        for entry in source.wait_and_read():
            if isinstance(entry, InputError):
                _store(broker, model, argvs)
                return str(entry)
            if isinstance(entry, str):
                say(entry)
                continue
            argvs.append(entry)
            if options.verbose:
                words = [os.fsdecode(word) for word in entry]
                write(2, quoting.quote(words, ascii_only) + "\n")
        _store(broker, model, argvs)
    return source.failure


def _store(broker: Broker, model: Prototype, argvs: Sequence[Argv]) -> None:
    for at in range(0, len(argvs), _BATCH):
        batch = argvs[at : at + _BATCH]
        texts = [codec.encode([os.fsdecode(word) for word in argv], "args") for argv in batch]
        broker.create_like(model, texts)


def _model(options: Options, broker: Broker, group: int) -> Prototype:
    limits = dict(options.limits)
    if options.max_procs:
        name = group_limit(group)
        broker.set_limits({name: options.max_procs}, task=group)
        limits[name] = 1
    need = place.needs(options, None, is_private=False)
    need = replace(need, host=options.host, limits=limits_text(limits))
    return place.make_model(options, group, need)
