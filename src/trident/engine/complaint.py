"""What a client is told of a bad value: which parameter it is, what came, and what is allowed. No vLLM in here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

LONGEST_VALUE = 80

_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "array": "a list",
    "object": "an object",
}
_MISMATCH = re.compile(r"Expected `(?P<types>[^`]+)`, got `[^`]+`(?: - at `\$\.?(?P<path>[^`]*)`)?")


def wrong_type(problem: str, given: Mapping[str, Any]) -> str:
    """msgspec's words for a value of another type, in a client's. ``given`` are the parameters that were sent."""
    match = _MISMATCH.search(problem)
    if match is None or not match["path"]:
        return problem
    allowed = [_TYPES[kind] for kind in match["types"].split(" | ") if kind in _TYPES]
    name = re.split(r"[.\[]", match["path"])[0]
    return f"sampling parameter {match['path']!r} must be {' or '.join(allowed)}, got {shown(given.get(name))}"


def with_value(message: str, given: Mapping[str, Any]) -> str:
    """Adds what came to a message that names one parameter and does not say it."""
    named = [name for name in given if re.search(rf"\b{re.escape(name)}\b", message)]
    if len(named) != 1 or re.search(r"\b[Gg]ot\b|value=", message):
        return message
    value = shown(given[named[0]])
    return message if value in message else f"{message.rstrip('.!')}, got {named[0]} = {value}"


def shown(value: Any) -> str:
    """A value as the client wrote it, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
