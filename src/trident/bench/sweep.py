"""Which load level comes next.

A given list is run in its order. ``Doubling`` goes up until the server is saturated: twice the load brought less than
``LEAST_GAIN`` more throughput, or less than ``LEAST_SERVED`` of the offered rate was served, or (with SLOs) less than
half of the requests were good. Past that point latency grows and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from trident.bench.plan import Load
from trident.bench.result import Point

LEAST_GAIN = 1.1
LEAST_SERVED = 0.9
LEAST_GOOD = 0.5


class Levels(Protocol):
    """Of a sweep."""

    @property
    def count(self) -> int | None:
        """How many there will be; None when that depends on the server."""

    @property
    def largest(self) -> Load:
        """The most that may be asked of the client."""

    def next(self, points: Sequence[Point]) -> Load | None:
        """After these; None at the end."""


class Listed:
    """One after the other."""

    def __init__(self, loads: Sequence[Load]) -> None:
        self._loads = list(loads)

    @property
    def count(self) -> int | None:
        """See ``Levels``."""
        return len(self._loads)

    @property
    def largest(self) -> Load:
        """See ``Levels``."""
        return max(self._loads, key=lambda load: load.level)

    def next(self, points: Sequence[Point]) -> Load | None:
        """See ``Levels``."""
        return self._loads[len(points)] if len(points) < len(self._loads) else None


class Doubling:
    """From ``first`` on, at most up to ``most`` (concurrency or requests per second)."""

    count = None

    def __init__(self, first: Load, most: float) -> None:
        self._first = first
        self._most = most

    @property
    def largest(self) -> Load:
        """See ``Levels``."""
        return at_level(self._first, self._most)

    def next(self, points: Sequence[Point]) -> Load | None:
        """See ``Levels``."""
        if not points:
            return self._first
        level = 2 * points[-1].load.level
        if level > self._most or is_saturated(points):
            return None
        return at_level(self._first, level)


def at_level(load: Load, level: float) -> Load:
    """The same load at another concurrency or rate. A warm-up of one wave stays one wave."""
    if load.kind == "open":
        return msgspec.structs.replace(load, rate_per_s=level)
    warmup = round(level) if load.warmup_requests == load.concurrency else load.warmup_requests
    return msgspec.structs.replace(load, concurrency=round(level), warmup_requests=warmup)


def is_saturated(points: Sequence[Point]) -> bool:
    """Of the last point, against the one before."""
    last = points[-1]
    if last.counts.ok == 0:
        return True
    good = last.rates.get("goodput_share")
    if good is not None and good.value < LEAST_GOOD:
        return True
    served = last.rates["request_throughput"].value
    if last.load.kind == "open":
        return served < LEAST_SERVED * (last.load.rate_per_s or 0.0)
    return len(points) > 1 and served < LEAST_GAIN * points[-2].rates["request_throughput"].value
