"""The roll of the watch: after whatever happened it is as one read anew would be."""

from __future__ import annotations

import random
import time
from contextlib import suppress

import pytest
from support import child, enlist, group, prototype, run

from aque.brokers.base import Broker
from aque.brokers.questions import Selection
from aque.commands.watch.roll import ALL, TOPS, Ranked, Roll
from aque.errors import AqueError


def happen(broker: Broker, worker: int, chance: random.Random) -> None:
    """Have one thing happen that changes a queue."""
    there = broker.existing(0, 1 << 40)
    some = chance.sample(there, min(len(there), 2))
    act = chance.choice(["create", "family", "after", "run", "fail", "kill", "retry", "remove"])
    with suppress(AqueError, ValueError, IndexError):
        if act == "create":
            broker.create([prototype()])
        elif act == "family":
            (parent,) = broker.create([group(status="creating")])
            broker.create([child(parent), child(parent)])
            broker.commit([parent])
        elif act == "after":
            broker.create([prototype(after=tuple(some))])
        elif act in ("run", "fail"):
            run(broker, worker, some[0], "success" if act == "run" else "error")
        elif act == "kill":
            broker.cancel(some, 15, 0)
        elif act == "retry":
            broker.retry(some)
        else:
            broker.remove(some[:1])


def seen(roll: Roll, scopes: list[int]) -> object:
    listings = [roll.listing(scope) for scope in scopes]
    return (
        roll.counts,
        {parent: counts for parent, counts in roll.children.items() if any(counts)},
        [sorted(listing.slice(0, 1000)) for listing in listings],
    )


def test_a_roll_that_was_kept_up_to_date_is_as_one_read_anew(broker: Broker) -> None:
    worker = enlist(broker)
    for seed in range(4):
        chance = random.Random(seed)
        roll = Roll(broker, 0.0, None)
        listing = roll.listing(TOPS)
        for _ in range(12):
            for _ in range(chance.randrange(5)):
                happen(broker, worker, chance)
            roll._load_at = 0.0  # so soon, as if it had been long ago
            roll.update()
            fresh = Roll(broker, 0.0, None)
            assert sorted(listing.slice(0, 1000)) == sorted(fresh.listing(TOPS).slice(0, 1000))
        scopes = [TOPS, ALL, *fresh.children]
        assert seen(roll, scopes) == seen(fresh, scopes), seed


def test_a_listing_has_what_runs_then_what_waits_then_the_latest_that_ended(broker: Broker) -> None:
    worker = enlist(broker)
    broker.create([prototype() for _ in range(6)])
    roll = Roll(broker, 0.0, None)
    listing = roll.listing(TOPS)
    for id in (2, 5):
        run(broker, worker, id)
    broker.claim(worker, lambda offer: [4])
    assert roll.update()
    assert not roll.update()
    assert listing.slice(0, 9) == [4, 1, 3, 6, 5, 2]
    assert [listing.slice(at, 2) for at in (0, 2, 5, 6)] == [[4, 1], [3, 6], [2], []]
    assert [listing.find(id) for id in (4, 1, 3, 6, 5, 2, 7)] == [0, 1, 2, 3, 4, 5, None]
    assert roll.rate() == 60  # two in the two seconds that it is of at least


def test_what_is_weighed_comes_first_and_heaviest_first(broker: Broker) -> None:
    broker.create([prototype() for _ in range(5)])
    ranked = Ranked(broker, Selection(), "cpu")
    ranked.update(True, {4: 0.1, 2: 0.9})
    assert ranked.slice(0, 9) == [2, 4, 1, 3, 5]
    ranked.update(False, {4: 0.8, 2: 0.2})
    assert [ranked.slice(at, 2) for at in (0, 1, 2, 4)] == [[4, 2], [2, 1], [1, 3], [5]]
    assert [ranked.find(id) for id in (4, 2, 1, 3, 5, 6)] == [0, 1, 2, 3, 4, None]


def test_the_rate_is_of_the_time_since_the_first_began(broker: Broker) -> None:
    worker = enlist(broker)
    broker.create([prototype() for _ in range(12)])
    for id in range(1, 13):
        run(broker, worker, id, started_at=time.time() - 20)
    assert 30 < Roll(broker, 0.0, None).rate() < 40


def test_what_is_read_in_pieces_is_as_if_it_were_read_at_once(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = enlist(broker)
    broker.create([prototype() for _ in range(40)])
    broker.claim(worker, lambda offer: [33])
    whole = Roll(broker, 0.0, None)
    monkeypatch.setattr("aque.commands.watch.roll._PIECE", 10)
    monkeypatch.setattr("aque.commands.watch.roll._TURN", 0.0)
    pieces = Roll(broker, 0.0, None)
    assert pieces.is_reading
    assert pieces.listing(TOPS).slice(0, 3) == [33, 1, 2]
    run(broker, worker, 40)
    broker.remove([1])
    while pieces.is_reading:
        pieces.update()
    whole.update()
    assert seen(pieces, [TOPS, ALL]) == seen(whole, [TOPS, ALL])
    assert pieces.listing(TOPS).slice(0, 2) == [33, 2]
