"""Server-sent events out of a byte stream.

Own code because the lines of httpx (and so of httpx-sse) also end at U+2028, U+0085 and form feeds, which models
write and JSON need not escape: an answer with one of them would break.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# A carriage return at the end of what has come so far may be half of a line end, so it waits.
_LINE_END = re.compile(rb"\r\n|\n|\r(?=[^\n])")


def events(chunks: Iterable[bytes]) -> Iterator[str]:
    """The data of each event, in order; comments and other fields are passed over. The end of the stream ends the
    last event even without its empty line."""
    data: list[str] = []
    for line in _lines(chunks):
        if not line:
            if data:
                yield "\n".join(data)
            data = []
            continue
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" ").decode("utf-8", "replace"))
    if data:
        yield "\n".join(data)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = _LINE_END.split(rest + chunk)
        yield from lines
    if rest:
        yield rest.removesuffix(b"\r")
