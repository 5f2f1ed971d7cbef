"""Writes TOML: what ``tomllib`` reads, and no more than ``trident.toml`` needs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

BARE = re.compile(r"[A-Za-z0-9_-]+")


def text(tables: Mapping[str, Any], comments: Sequence[str] = (), notes: Mapping[str, str] | None = None) -> str:
    """Plain values first, then a table for each map, whose own maps are inline. None is left out: TOML has none.
    ``notes`` stand behind the lines of these names."""
    lines = [f"# {comment}".rstrip() for comment in comments]
    lines += _lines({name: value for name, value in tables.items() if not isinstance(value, Mapping)}, notes or {})
    for name, table in tables.items():
        if isinstance(table, Mapping):
            lines += ["", f"[{_key(name)}]", *_lines(table, notes or {})]
    return "\n".join(lines) + "\n"


def _lines(table: Mapping[str, Any], notes: Mapping[str, str]) -> list[str]:
    return [
        f"{_key(name)} = {_value(value)}{f'  # {notes[name]}' if name in notes else ''}"
        for name, value in table.items()
        if value is not None
    ]


def _key(name: str) -> str:
    return name if BARE.fullmatch(name) else _string(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(name)} = {_value(one)}" for name, one in value.items() if one is not None)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(_value(one) for one in value if one is not None)}]"
    return _string(str(value))


def _string(value: str) -> str:
    # A basic string of TOML escapes as JSON does, but DEL must be escaped too.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
