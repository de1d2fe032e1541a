"""Own the search for roots: the tasks that nothing shown stands above, by their rank.

Of a million tasks a hundred are asked for, and how many there are in all. What runs, and the groups
that have not ended, have indexes; the others are looked through from the newest, until there are
enough. Where there are few roots, as over one group of a million, all have to be looked through,
but then once: they are counted as they are found. Most queues have one user, and none to ask for.
What failed last is searched for by its end, however much waits before it.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice

from aque.brokers.sqlite.look import RANK, fetch
from aque.brokers.sqlite.transaction import Row, Rows
from aque.task import Task

_SHOWN = """
({0}.ended_at IS NULL OR {0}.ended_at >= ?1)
"""
_JOIN = 'JOIN requirements AS {1} ON {1}.id = {0}.requirements AND {1}."user" = ?2'
#: Of what failed the last few are found, however much else there is.
_FEW = 10
_FAILED = "t.status = 'error' AND t.ended_at >= ?1"
_RUNNING = """
t.id IN (SELECT id FROM task WHERE status = 'running'
    UNION SELECT id FROM task WHERE pattern IS NULL AND ended_at IS NULL)
"""
_WAITING = "t.ended_at IS NULL AND t.status <> 'running' AND t.pattern IS NOT NULL"
_ENDED = "t.ended_at IS NOT NULL"


def roots(
    rows: Rows, ended_since: float, limit: int | None, user: str | None
) -> tuple[list[Task], dict[str, int]]:
    others = rows('SELECT 1 FROM requirements WHERE "user" <> ?1 LIMIT 1', (user,))
    values = (ended_since, user) if others else (ended_since,)
    where = _where(bool(others))
    most = -1 if limit is None else limit
    first = rows(
        f"SELECT t.id, {RANK}, t.status {where} LIMIT {most + 1 if most >= 0 else -1}", values
    )
    if most < 0 or len(first) <= most:
        return fetch(rows, _by_rank(first)), dict(Counter(status for _, _, status in first))
    sql = f"SELECT t.id {where} AND {_FAILED} ORDER BY t.ended_at DESC LIMIT {min(_FEW, most)}"
    failed = [id for (id,) in rows(sql, values)]
    found: dict[int, None] = {}
    for rank in (_RUNNING, _WAITING, _ENDED):
        sql = f"SELECT t.id {where} AND {rank} ORDER BY t.id DESC LIMIT {most - len(found)}"
        found.update(dict.fromkeys(id for (id,) in rows(sql, values)))
        if rank is _RUNNING:
            found = dict.fromkeys([*islice(found, most - len(failed)), *failed])
    counts: dict[str, int] = dict(
        rows(f"SELECT t.status, count(*) {where} GROUP BY t.status", values)
    )
    return fetch(rows, list(found)), counts


def _by_rank(found: list[Row]) -> list[int]:
    return [id for id, _, _ in sorted(found, key=lambda row: (-row[1], -row[0]))]


def _where(has_user: bool) -> str:
    """Return the clauses that find roots of the user ?2, or of all."""
    of_user, of_above = (
        _JOIN.format(*names) if has_user else "" for names in (("t", "r"), ("above", "needs"))
    )
    return f"""
    FROM task AS t {of_user} WHERE {_SHOWN.format("t")}
    AND (t.parent IS NULL OR NOT EXISTS (
        SELECT 1 FROM task AS above {of_above}
        WHERE above.id = t.parent AND {_SHOWN.format("above")}))
    AND NOT EXISTS (
        SELECT 1 FROM dependency AS d JOIN task AS above ON above.id = d.task {of_above}
        WHERE d.dependency = t.id AND {_SHOWN.format("above")})
    """
