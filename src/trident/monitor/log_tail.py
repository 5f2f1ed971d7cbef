"""The end of a log, without reading all of it."""

from __future__ import annotations

from pathlib import Path

import msgspec

LAST_BYTES = 64 * 1024


class Tail(msgspec.Struct):
    """``lines`` after the place where the reader was, and the place to go on from."""

    lines: list[str]
    place: int


def read(path: Path, most_lines: int, place: int | None = None) -> Tail:
    """The last lines; with ``place`` those that have come since. Empty for a log that is not there."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            start = max(0, size - LAST_BYTES)
            is_same = place is not None and place <= size  # else a new run has put another file there
            if is_same and place is not None:
                start = max(start, place)
            file.seek(start)
            data = file.read(LAST_BYTES)
    except OSError:
        return Tail([], 0)
    whole, newline, _ = data.rpartition(b"\n")
    lines = whole.split(b"\n") if newline else []
    if lines and start > 0 and start != place:
        lines = lines[1:]  # it begins in the midst of a line
    shown = [line.decode("utf-8", "replace") for line in lines[-most_lines:]]
    return Tail(shown, start + len(whole) + len(newline))
