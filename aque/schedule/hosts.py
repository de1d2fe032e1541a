"""Own whether a host is one that a task asked for: `render*,!render7`, addresses, networks.

A host is known by many names (short, qualified, aliases) and addresses; a term matches it when it
matches any of them, so `localhost` and `127.0.0.1` match every host. Terms are globs in which `*`,
`?` and `[...]` mean what they mean to a shell, an address, or a network as `10.0.0.0/24` (RFC
4632); `!` before a term excludes what it matches. With terms that include, one of them must match;
with exclusions only, all other hosts will do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from aque.errors import UsageError

if TYPE_CHECKING:
    import ipaddress

_UNCLOSED = re.compile(r"\[(?:!?\]?)[^\]]*$")


def check(pattern: str) -> str:
    """Return a pattern as it is. Raises UsageError, naming the term, where it can match nothing."""
    for term in _terms(pattern):
        name = term.removeprefix("!")
        if not name or name.startswith("!") or any(c.isspace() for c in name):
            raise UsageError(
                f"{pattern!r} is no host pattern; write render*,!render7 or 10.0.0.0/24"
            )
        if _UNCLOSED.search(name):
            raise UsageError(f"host pattern {term!r} has a [ that is not closed")
        if "/" in name:
            _network(name)
    return pattern


def matches(pattern: str, names: Iterable[str]) -> bool:
    """Whether a host with these names and addresses is one that `pattern` asks for."""
    known = [name.lower() for name in names]
    included = excluded = False
    has_including = False
    for term in _terms(pattern):
        if term.startswith("!"):
            excluded |= _term_matches(term[1:], known)
        else:
            has_including = True
            included |= _term_matches(term, known)
    return not excluded and (included or not has_including)


def _terms(pattern: str) -> list[str]:
    return [term.strip() for term in pattern.split(",")]


def _term_matches(term: str, names: list[str]) -> bool:
    if "/" in term:
        network = _network(term)
        return any(address in network for address in _addresses(names))
    glob = _glob(term.lower())
    if any(glob.fullmatch(name) for name in names):
        return True
    # One address of IPv6 can be written in many ways.
    return ":" in term and not set(_addresses([term])).isdisjoint(_addresses(names))


def _network(term: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    import ipaddress

    try:
        return ipaddress.ip_network(term, strict=False)
    except ValueError as error:
        raise UsageError(f"{term!r} is no network: {error}") from None


def _addresses(names: Iterable[str]) -> Iterable[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    import ipaddress

    for name in names:
        try:
            yield ipaddress.ip_address(name)
        except ValueError:
            pass


def _glob(term: str) -> re.Pattern[str]:
    from fnmatch import translate

    return re.compile(translate(term))
