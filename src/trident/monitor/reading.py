"""A page of the exporter as numbers: read once a second, so made for that.

Most families of a page are never asked for, so each is parsed when it is. The same series come again and again and only
their values change; the labels are parsed once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

Labels = Mapping[str, str]

_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
MOST_KNOWN_SERIES = 20_000


class Sample(NamedTuple):
    """One value of a family."""

    labels: Labels
    value: float


class Reading:
    """All samples of one page by the name of their family; ``at_s`` is the time of the reading, monotonic."""

    def __init__(self, page: bytes, at_s: float) -> None:
        self.at_s = at_s
        self._lines: dict[str, list[str]] = {}
        self._parsed: dict[str, list[Sample]] = {}
        lines = self._lines
        for line in page.decode("utf-8", "replace").split("\n"):
            if line and line[0] != "#":
                name = line.partition("{")[0]
                lines.setdefault(name if len(name) < len(line) else name.partition(" ")[0], []).append(line)

    def samples(self, name: str, **labels: str) -> list[Sample]:
        """Those of a family that have these labels; none where the family is absent."""
        found = self._parsed.get(name)
        if found is None:
            found = self._parsed[name] = list(_samples(self._lines.get(name, ())))
        if not labels:
            return found
        return [one for one in found if all(one.labels.get(key) == value for key, value in labels.items())]

    def sum(self, name: str, **labels: str) -> float | None:
        """Over all samples; None where there are none."""
        found = self.samples(name, **labels)
        return sum(one.value for one in found) if found else None

    def largest(self, name: str, **labels: str) -> float | None:
        """Of all samples; None where there are none."""
        return max((one.value for one in self.samples(name, **labels)), default=None)

    def buckets(self, name: str) -> dict[float, float]:
        """A histogram's cumulative counts by their upper bounds, summed over all its series. Series with other bounds
        than the first are summed where their bounds agree, which engines of one server's do."""
        found: dict[float, float] = {}
        for one in self.samples(f"{name}_bucket"):
            bound = float(one.labels.get("le", "inf"))
            found[bound] = found.get(bound, 0.0) + one.value
        return dict(sorted(found.items()))


def _samples(lines: Iterable[str]) -> Iterator[Sample]:
    for line in lines:
        series, _, text = line.rpartition(" ")
        try:
            yield Sample(_labels(series), float(text))
        except ValueError:
            continue  # not a line of the format


@lru_cache(MOST_KNOWN_SERIES)
def _labels(series: str) -> Labels:
    return {key: _unescaped(value) for key, value in _LABEL.findall(series.partition("{")[2])}


def _unescaped(text: str) -> str:
    return re.sub(r"\\.", lambda match: _ESCAPES.get(match[0], match[0]), text) if "\\" in text else text
