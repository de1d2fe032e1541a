"""Own what a person types to see only some tasks: words, states, and filters."""

from __future__ import annotations

import re

from aque import states, task
from aque.brokers.questions import Selection
from aque.commands import filters
from aque.record import replace

_FILTER = re.compile(r"(\w+)(!=|=|~|<|>)")


def narrow(within: Selection, text: str) -> Selection:
    """Return the tasks of a selection that a text means. Raises UsageError for a bad filter."""
    statuses, words, conditions = list(within.statuses), list(within.words), [*within.conditions]
    for word in text.split():
        match = _FILTER.match(word)
        if word in states.STATES:
            statuses.append(word)
        elif match and match[1] in task.KEYS:
            conditions.append(filters.parse(word))
        else:
            words.append(word)
    return replace(within, conditions=conditions, statuses=statuses, words=words)
