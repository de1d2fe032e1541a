"""Own what a person types to see only some tasks: words, states, and filters."""

from __future__ import annotations

import re

from aque import states
from aque.brokers.questions import Selection
from aque.commands import filters
from aque.record import replace

#: Keys are in small letters; in a command `CC=gcc` is a word.
_FILTER = re.compile(r"[a-z_]+(!=|=|~|<|>)")


def narrow(within: Selection, text: str) -> Selection:
    """Return the tasks of a selection that a text means. Raises UsageError for a bad filter."""
    statuses, words, conditions = list(within.statuses), list(within.words), [*within.conditions]
    for word in text.split():
        if word in states.STATES:
            statuses.append(word)
        elif _FILTER.match(word):
            conditions.append(filters.parse(word))
        else:
            words.append(word)
    return replace(within, conditions=conditions, statuses=statuses, words=words)
