"""Own how an encoded value is shown to people: as the call that would make it, never decoded.

What is not of one of our forms is shown as the JSON it is. Whatever the text holds, this ends: it
goes only so deep.
"""

from __future__ import annotations

import json
from typing import Any

_DEEPEST = 6
_NEW = ("copyreg:__newobj__", "copyreg:_reconstructor")
_BRACKETS = {"$tuple": ("(", ")"), "$set": ("{", "}"), "$frozenset": ("{", "}")}
_AS_THEY_ARE = ("$int", "$float")
#: Forms whose payload begins with the text that says it all.
_BY_FIRST = ("$datetime", "$date", "$time")


def text(value: Any, depth: int = 0) -> str:
    """Return a parsed value as a person would write it."""
    if depth > _DEEPEST:
        return "..."
    if isinstance(value, list):
        return f"[{_listed(value, depth)}]"
    if not isinstance(value, dict):
        return json.dumps(value)
    if len(value) == 1:
        ((tag, payload),) = value.items()
        shown = _tagged(tag, payload, depth + 1) if tag.startswith("$") else None
        if shown is not None:
            return shown
    return "{" + _paired(value.items(), depth) + "}"


def _tagged(tag: str, payload: Any, depth: int) -> str | None:
    """Return one of our forms; None for what is none, or too odd to be put into words."""
    is_list = isinstance(payload, list)
    if tag in _BRACKETS and is_list:
        left, right = _BRACKETS[tag]
        comma = "," if left == "(" and len(payload) == 1 else ""
        return left + _listed(payload, depth) + comma + right
    if tag in _AS_THEY_ARE:
        return str(payload)
    if tag == "$name":
        return _last(payload)
    if tag == "$result":
        return f"result of #{payload}"
    if tag == "$reduce":
        return _made(payload, depth) if isinstance(payload, dict) else _last(payload)
    if tag == "$dict" and is_list and all(isinstance(p, list) and len(p) == 2 for p in payload):
        return "{" + ", ".join(f"{text(k, depth)}: {text(v, depth)}" for k, v in payload) + "}"
    if tag == "$bytes" and isinstance(payload, str):
        return f"{len(payload) * 3 // 4} bytes"
    if tag in _BY_FIRST and payload:
        return str(payload[0] if is_list else payload)
    if is_list and len(payload) == 2 and isinstance(payload[0], str):  # a class and what it is of
        name, inside = _last(payload[0]), payload[1]
        given = _named(inside, depth) if isinstance(inside, dict) else text(inside, depth)
        return f"{name}({given})"
    return None


def _made(form: dict[str, Any], depth: int) -> str:
    """Return the call that makes an object again."""
    called, args = form.get("call"), form.get("args", [])
    name = called.get("$name") if isinstance(called, dict) else called
    given = list(args) if isinstance(args, list) else [args]
    if name in _NEW and given:
        name, *given = given
        name = name.get("$name") if isinstance(name, dict) else name
        given = [arg for arg in given if arg is not None]
    parts = [text(arg, depth) for arg in given]
    state = form.get("state")
    if isinstance(state, dict) and not any(key.startswith("$") for key in state):
        parts.append(_named(state, depth))
    elif state is not None:
        parts.append(text(state, depth))
    for more in ("items", "pairs"):
        if form.get(more):
            parts.append(text(form[more], depth))
    return f"{_last(name)}({', '.join(part for part in parts if part)})"


def _last(name: Any) -> str:
    return str(name).rpartition(":")[2]


def _listed(values: list[Any], depth: int) -> str:
    return ", ".join(text(value, depth + 1) for value in values)


def _paired(items: Any, depth: int) -> str:
    return ", ".join(f"{json.dumps(key)}: {text(value, depth + 1)}" for key, value in items)


def _named(values: dict[str, Any], depth: int) -> str:
    return ", ".join(f"{key}={text(value, depth)}" for key, value in values.items())
