"""Patterns of hosts: globs, negation, addresses, networks, and every name of a host."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aque.errors import UsageError
from aque.schedule import hosts

NAMES = ["render7", "render7.studio.example", "localhost", "10.0.3.7", "127.0.0.1", "fe80::7"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("render7", True),
        ("render", False),
        ("render*", True),
        ("render?", True),
        ("render??", False),
        ("render[5-8]", True),
        ("render[!5-8]", False),
        ("*.studio.example", True),
        ("RENDER7", True),
        ("render7.*", True),
        ("sim*,render*", True),
        ("sim*, render*", True),
        ("sim*,light*", False),
        ("!render7", False),
        ("!sim*", True),
        ("!sim*,!light*", True),
        ("render*,!render7", False),
        ("!render7,render*", False),
        ("render*,!render8", True),
        ("sim*,!light*", False),
        ("!*.example", False),
        ("10.0.3.7", True),
        ("10.0.3.*", True),
        ("10.0.3.70", False),
        ("10.0.3.0/24", True),
        ("10.0.3.9/24", True),
        ("10.0.0.0/16", True),
        ("10.0.3.0/255.255.255.0", True),
        ("10.0.4.0/24", False),
        ("!10.0.3.0/24", False),
        ("!10.0.4.0/24", True),
        ("render*,!10.0.0.0/8", False),
        ("fe80::/10", True),
        ("2001:db8::/32", False),
        ("fe80::7", True),
        ("FE80:0:0:0:0:0:0:7", True),
        ("*", True),
    ],
)
def test_a_pattern_asks_for_a_host_by_any_of_its_names(pattern: str, expected: bool) -> None:
    assert hosts.check(pattern) == pattern
    assert hosts.matches(pattern, NAMES) is expected


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("", "''"),
        (",", "','"),
        ("render*,", "'render*,'"),
        ("!", "'!'"),
        ("!!render7", "'!!render7'"),
        ("a b", "'a b'"),
        ("! render7", "'! render7'"),
        ("render[", "'render['"),
        ("a,!render[1-", "'!render[1-'"),
        ("10.0.0.0/33", "10.0.0.0/33"),
        ("10.0.0/24", "10.0.0/24"),
        ("/24", "/24"),
        ("a,!render/8", "render/8"),
    ],
)
def test_a_bad_pattern_is_refused_and_named(pattern: str, named: str) -> None:
    with pytest.raises(UsageError) as caught:
        hosts.check(pattern)
    assert named in str(caught.value)


def test_a_host_without_names_is_matched_by_exclusions_only() -> None:
    assert not hosts.matches("*", [])
    assert hosts.matches("!a", [])


words = st.text("ab1*?![]-,./:", max_size=8)


@given(words, st.lists(st.text("ab1.:", min_size=1, max_size=4), max_size=3))
def test_what_is_accepted_can_always_be_asked(pattern: str, names: list[str]) -> None:
    try:
        hosts.check(pattern)
    except UsageError:
        return
    hosts.matches(pattern, names)


@given(st.text("ab1", min_size=1, max_size=4), st.text("ab1", min_size=1, max_size=4))
def test_an_exclusion_is_the_opposite_of_its_term(term: str, name: str) -> None:
    assert hosts.matches(term, [name]) is not hosts.matches("!" + term, [name])
