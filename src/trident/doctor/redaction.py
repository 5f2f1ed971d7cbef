"""Takes secrets and names of persons out of what is to be shared."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

HIDDEN = "[hidden]"
# Values that follow such a name, in TOML, JSON, a command line, a header or a variable.
_NAMED = re.compile(
    r"(?i)(?P<name>[\w.-]*(?:api[_-]?key|token|secret|passw(?:or)?d|credential|authorization|private[_-]?key)\b[\w.-]*)"
    r"(?P<between>[\"']?\s*[:=]\s*|\s+)(?P<value>\[[^\]]*\]|(?:Bearer |Basic )?(?:\"[^\"]*\"|'[^']*'|[^\s,;}\"']+))"
)
_HARMLESS = re.compile(r"(?i)(?:max_|num_|_)?tokens?\b|max_tokens|tokenizer\w*|token_ids?|api_key_file|tokens?_per\w*")
_SHAPES = (
    re.compile(r"hf_[A-Za-z0-9]{16,}"),
    re.compile(r"ms-[0-9a-f]{8}-[0-9a-f-]{20,}"),
    re.compile(r"sk-[A-Za-z0-9_-]{16,}"),
    re.compile(r"gh[pousr]_[A-Za-z0-9]{20,}"),
    re.compile(r"(?i)\bbearer\s+[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
)
_USER_IN_URL = re.compile(r"(?P<scheme>\w+://)[^/\s:@]+(?::[^/\s@]*)?@")
_SECRET_VARIABLE = re.compile(r"(?i)key|token|secret|passw|credential|auth")
SHORTEST_SECRET = 6


class Redactor:
    """``secrets`` are values known to be secret (the configured keys); those of secret variables are added."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        of_variables = (value for name, value in os.environ.items() if _SECRET_VARIABLE.search(name))
        known = {value for value in (*secrets, *of_variables) if len(value) >= SHORTEST_SECRET}
        self._known = sorted(known, key=len, reverse=True)
        self._home = os.fspath(Path.home())

    def text(self, text: str) -> str:
        """``text`` without secrets, and with ~ for the home folder."""
        for secret in self._known:
            text = text.replace(secret, HIDDEN)
        for shape in _SHAPES:
            text = shape.sub(HIDDEN, text)
        text = _USER_IN_URL.sub(rf"\g<scheme>{HIDDEN}@", text)
        text = _NAMED.sub(_hide_value, text)
        return text.replace(self._home, "~") if len(self._home) > 1 else text


def _hide_value(match: re.Match[str]) -> str:
    name, between, value = match["name"], match["between"], match["value"]
    if _HARMLESS.fullmatch(name) or (not between.strip() and not name.startswith("-")):
        return match[0]  # "max_tokens: 3", or a word in a sentence
    quote = value[0] if value[0] in "\"'" else ""
    return f"{name}{between}{quote}{HIDDEN}{quote}"
