"""The counts of the last minutes: every one of the last minute, and some of those before."""

from __future__ import annotations

from collections import deque

from trident.monitor.counts import Counts

FINE_S = 62.0
COARSE_S = 310.0
COARSE_EVERY_S = 10.0


class Lookback:
    """Bounded by time, whatever the rate of readings."""

    def __init__(self) -> None:
        self._fine: deque[Counts] = deque()
        self._coarse: deque[Counts] = deque()

    def add(self, counts: Counts) -> None:
        """The newest."""
        self._fine.append(counts)
        if not self._coarse or counts.at_s - self._coarse[-1].at_s >= COARSE_EVERY_S:
            self._coarse.append(counts)
        for kept, longest_s in ((self._fine, FINE_S), (self._coarse, COARSE_S)):
            while kept[0].at_s < counts.at_s - longest_s:
                kept.popleft()

    def ago(self, seconds: float) -> Counts | None:
        """The newest that is at least so old, or the oldest of all; None before the second reading."""
        if len(self._fine) < 2:
            return None
        kept = self._fine if seconds <= FINE_S else self._coarse
        latest_s = self._fine[-1].at_s - seconds + 0.05  # readings are a little late, each by another little
        found = kept[0]
        for counts in kept:
            if counts.at_s > latest_s:
                break
            found = counts
        return found if found is not self._fine[-1] else None
