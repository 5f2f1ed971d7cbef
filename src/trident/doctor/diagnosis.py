"""Reads logs after a failure and recognises causes in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trident.doctor.signatures import SIGNATURES, Signature
from trident.supervisor.cause import read_tail

READ_BYTES = 4 << 20
LONGEST_LINE = 4000
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Diagnosis:
    """A cause in the user's words; ``line`` is that of ``log`` in which it was recognised."""

    signature: Signature
    what: str
    why: str
    fix: str
    line: str
    log: str


def of_logs(files: Iterable[Path]) -> list[Diagnosis]:
    """All causes in these logs, special ones first; general ones only where no special one was found."""
    found = [diagnosis for file in files for diagnosis in _of_lines(read_tail(file, 0, READ_BYTES), file.name)]
    special = [diagnosis for diagnosis in found if not diagnosis.signature.general]
    return _once(special or found)


def of_text(text: str, log: str = "") -> list[Diagnosis]:
    """The same of a text."""
    found = list(_of_lines(text.splitlines(), log))
    special = [diagnosis for diagnosis in found if not diagnosis.signature.general]
    return _once(special or found)


def _of_lines(lines: Iterable[str], log: str) -> Iterator[Diagnosis]:
    for raw in lines:
        line = COLOURS.sub("", raw)[:LONGEST_LINE]
        for signature in SIGNATURES:
            if match := signature.pattern.search(line):
                groups = {name: text or "…" for name, text in match.groupdict().items()}
                groups["line"] = _shortened(line)
                what, why, fix = (text.format_map(groups) for text in (signature.what, signature.why, signature.fix))
                yield Diagnosis(signature, what, why, fix, line, log)
                break  # a line has one cause, and special signatures stand before wider ones


def _shortened(line: str) -> str:
    """Without what the programs put in front of their words."""
    text = re.sub(
        r"^(\(\w[^)]*\) )?([A-Z]+ [\d-]+ [\d:]+ \[[^\]]*\] ?)?([EWI]\d{4} [\d:.]+ \d+ [\w.]+:\d+\] )?", "", line
    )
    return text.strip().strip('"').split("\\n")[0][:300]


def _once(found: list[Diagnosis]) -> list[Diagnosis]:
    """The first of each signature: what comes later repeats it."""
    first: dict[str, Diagnosis] = {}
    for diagnosis in found:
        first.setdefault(diagnosis.signature.name, diagnosis)
    return list(first.values())
