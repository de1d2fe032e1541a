"""The contract: named limits, counted from the running rows themselves."""

from __future__ import annotations

import pytest
from support import claim, claimable, end, enlist, group, prototype, requirements, take_ids

from aque.brokers.base import Broker
from aque.brokers.claims import Limit, Offer
from aque.errors import UsageError
from aque.prototype import Prototype


def limited(text: str = '{"nuke":1}') -> Prototype:
    return prototype(requirements=requirements(limits=text))


def test_a_queue_begins_without_limits(broker: Broker) -> None:
    assert broker.limits() == {}


def test_limits_are_set_changed_and_listed_by_name(broker: Broker) -> None:
    broker.set_limits({"nuke": 10, "maya": 2})
    broker.set_limits({"nuke": 3, "disk": 0})
    assert list(broker.limits().items()) == [
        ("disk", Limit(0, 0)),
        ("maya", Limit(2, 0)),
        ("nuke", Limit(3, 0)),
    ]


@pytest.mark.parametrize("text", ['{"nuke":1}', '{"maya":1,"nuke":2}'])
def test_an_unknown_limit_is_refused_and_named(broker: Broker, worker: int, text: str) -> None:
    broker.set_limits({"maya": 2})
    with pytest.raises(UsageError, match="nuke"):
        broker.create([prototype(), limited(text)])
    assert claimable(broker, worker) == []


def test_a_child_that_changes_its_limits_must_name_known_ones(broker: Broker) -> None:
    (parent,) = broker.create([group(status="paused")])
    with pytest.raises(UsageError, match="nuke"):
        broker.create([prototype(parent=parent, requirements=None, needs={"limits": '{"nuke":1}'})])


def test_tokens_are_counted_over_all_workers_while_tasks_run(broker: Broker) -> None:
    broker.set_limits({"nuke": 10, "maya": 9})
    texts = ['{"nuke":1}', '{"nuke":2}', '{"maya":3,"nuke":4}', '{"nuke":1}']
    ids = broker.create([*map(limited, texts), prototype()])
    here, there = enlist(broker), enlist(broker, boot="another", host="there")
    assert broker.limits()["nuke"].used == 0
    (one,) = broker.claim(here, take_ids(ids[0])).tasks
    others = broker.claim(there, take_ids(*ids[1:3])).tasks
    assert broker.limits() == {"maya": Limit(9, 3), "nuke": Limit(10, 7)}
    broker.claim(here, take_ids(*ids[3:]))
    assert broker.limits()["nuke"].used == 8
    broker.finish([end(one), end(others[1], "error")])
    assert broker.limits() == {"maya": Limit(9, 0), "nuke": Limit(10, 3)}
    broker.requeue([(others[0].id, others[0].attempt)], "its worker died")
    assert broker.limits()["nuke"].used == 1


def test_a_claim_is_offered_the_limits_as_they_are(broker: Broker, worker: int) -> None:
    broker.set_limits({"nuke": 2})
    broker.create([limited()] * 2)
    offered: list[Limit] = []

    def choose(offer: Offer) -> list[int]:
        offered.append(offer.limits()["nuke"])
        return []

    broker.claim(enlist(broker), choose)
    claim(broker, worker)
    broker.claim(enlist(broker), choose)
    assert offered == [Limit(2, 0), Limit(2, 1)]


def test_a_limit_below_what_is_used_stops_nothing_that_runs(broker: Broker, worker: int) -> None:
    broker.set_limits({"nuke": 5})
    broker.create([limited()] * 3)
    claim(broker, worker, 3)
    broker.set_limits({"nuke": 1})
    assert broker.limits() == {"nuke": Limit(1, 3)}


def test_a_reset_keeps_limits_as_it_keeps_settings(broker: Broker, worker: int) -> None:
    broker.set_limits({"nuke": 5})
    broker.create([limited()])
    claim(broker, worker)
    broker.reset()
    assert broker.limits() == {"nuke": Limit(5, 0)}


def test_a_limit_wakes_who_waits_for_it(broker: Broker) -> None:
    broker.set_limits({"nuke": 0})
    with_bell = broker.listen("ready")
    try:
        with_bell.drain()
        broker.set_limits({"nuke": 1})
        if with_bell.fileno() >= 0:
            assert "ready" in with_bell.drain()
    finally:
        with_bell.close()
