"""docs/keys.md has every key that a task and a worker have, and no other."""

from __future__ import annotations

import json
import re

from support import aque, enlist

from aque.brokers.base import Broker
from aque.commands import rendering
from docs import console


def keys(heading: str) -> set[str]:
    text = (console.ROOT / "docs" / "keys.md").read_text(encoding="utf-8")
    section = text.partition(f"# {heading}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return {key for cell in cells for key in re.findall(r"`(\w+)`", cell)}


def test_the_page_has_every_key_of_a_task() -> None:
    assert keys("The keys of a task") == set(rendering.KEYS)


def test_the_page_has_every_key_of_a_worker(broker: Broker) -> None:
    enlist(broker)
    (worker,) = json.loads(aque("status", "--workers", "--json").stdout)
    assert keys("The keys of a worker") == set(worker)
    assert worker["is_dead"] is True
