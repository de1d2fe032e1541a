"""Own the queries of whoever keeps all tasks in view: the outline of a queue, and its orders."""

from __future__ import annotations

from aque.brokers.questions import Entry, Outline, Selection
from aque.brokers.sqlite import look
from aque.brokers.sqlite.transaction import Rows

#: Another user's task, or one that ended long ago, stands above nothing.
_ENTRY = f"""
SELECT t.id, t.status, t.parent, {look.RANK}, t.parent IS NULL AND NOT EXISTS (
    SELECT 1 FROM dependency AS d JOIN task AS above ON above.id = d.task
    JOIN requirements AS needs ON needs.id = above.requirements
    WHERE d.dependency = t.id AND (above.ended_at IS NULL OR above.ended_at >= ?1)
    AND (?2 IS NULL OR needs."user" = ?2)
)
FROM task AS t {look.JOIN}
WHERE (t.ended_at IS NULL OR t.ended_at >= ?1) AND (?2 IS NULL OR r."user" = ?2)
"""
_CHANGED = f"{_ENTRY} AND t.changed > ?3 ORDER BY t.changed"
_AFTER = f"{_ENTRY} AND t.id > ?3 ORDER BY t.id LIMIT ?4"
_RUNNING = f"""
{_ENTRY} AND t.id IN (SELECT id FROM task WHERE status = 'running'
    UNION SELECT id FROM task WHERE pattern IS NULL AND ended_at IS NULL)
ORDER BY t.id
"""
_ENDED = f'FROM task AS t {look.JOIN} WHERE t.ended_at >= ?1 AND (?2 IS NULL OR r."user" = ?2)'
_LAST = f"SELECT t.id {_ENDED} ORDER BY t.ended_at DESC LIMIT ?3"
_PACE = f"SELECT count(*), min(t.started_at) {_ENDED} AND t.status <> 'cancelled'"
_BENEATH = """
SELECT DISTINCT d.dependency FROM task AS t JOIN dependency AS d ON d.task = t.id
WHERE t.changed > ? AND d.kind <> 'child'
"""
_REMOVED = "SELECT task FROM removed WHERE changed > ?"
_TOOK = "(coalesce(t.ended_at, strftime('%s', 'now')) - t.started_at)"
_ORDERS = {
    "state": f"{look.RANK} DESC, CASE WHEN t.ended_at IS NULL THEN t.id ELSE -t.changed END",
    "id": "t.id DESC",
    "time": f"{_TOOK} DESC, t.id",
    "cpu": f"(t.user_time + t.system_time) / max({_TOOK}, 0.001) DESC, t.id",
    "memory": "t.max_rss DESC, t.id",
    "priority": "t.priority DESC, t.duration DESC, t.id",
    "name": "coalesce(t.name, t.args), t.id",
}


def outline(rows: Rows, ended_since: float, user: str | None, since: int) -> Outline:
    ((number,),) = rows("SELECT changed FROM sequence")
    if number == since:
        return Outline(number, ())
    entries = list(map(Entry._make, rows(_CHANGED, (ended_since, user, since))))
    if not since:
        return Outline(number, entries)
    removed, beneath = ([id for (id,) in rows(sql, (since,))] for sql in (_REMOVED, _BENEATH))
    return Outline(number, entries, removed, beneath)


def entries(
    rows: Rows, ended_since: float, user: str | None, after: int, limit: int
) -> list[Entry]:
    return list(map(Entry._make, rows(_AFTER, (ended_since, user, after, limit))))


def running_entries(rows: Rows, ended_since: float, user: str | None) -> list[Entry]:
    return list(map(Entry._make, rows(_RUNNING, (ended_since, user))))


def last_ended(rows: Rows, ended_since: float, user: str | None, limit: int) -> list[int]:
    return [id for (id,) in rows(_LAST, (ended_since, user, limit))]


def pace(rows: Rows, since: float, user: str | None) -> tuple[int, float | None]:
    ((number, began_at),) = rows(_PACE, (since, user))
    return number, began_at


def ranked(rows: Rows, selection: Selection, order: str) -> list[int]:
    found: list[int] = []
    for part in look.parts(selection):
        where, values = look.where_of(part)
        sql = f"SELECT t.id FROM task AS t {look.JOIN} WHERE {where} ORDER BY {_ORDERS[order]}"
        found += [id for (id,) in rows(sql, values)]
    return found
