"""How often a child that died may come back."""

from __future__ import annotations

from collections import deque

WINDOW_S = 600.0
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 10.0
SERVED_WELL_S = 10.0


class Restarts:
    """Counts one child's restarts. Time is given, not taken, so that it can be tested.

    A crash loop is ended, an accident is not: a child that has served well before it died, for 10 s and longer than its
    start took, comes back at once, as often as it takes, and what was before is forgiven.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._recent: deque[float] = deque()
        self.count = 0

    def next_delay_s(self, now_s: float, served_s: float = 0.0, start_s: float = 0.0) -> float | None:
        """Seconds to wait before the next restart, which is counted; None when there were too many lately.
        ``served_s`` and ``start_s`` are of the life that has ended."""
        if self._most and served_s >= max(SERVED_WELL_S, start_s):
            self._recent.clear()
            self.count += 1
            return FIRST_DELAY_S
        while self._recent and self._recent[0] <= now_s - WINDOW_S:
            self._recent.popleft()
        if len(self._recent) >= self._most:
            return None
        delay_s = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** len(self._recent))
        self._recent.append(now_s)
        self.count += 1
        return float(delay_s)

    def in_a_loop(self, now_s: float) -> int:
        """How many of the last ten minutes' restarts count against the limit."""
        return sum(time_s > now_s - WINDOW_S for time_s in self._recent)
