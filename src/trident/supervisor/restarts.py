"""How often a child that died may come back."""

from __future__ import annotations

from collections import deque

WINDOW_S = 600.0
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 10.0


class Restarts:
    """Counts one child's restarts. Time is given, not taken, so that it can be tested."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._recent: deque[float] = deque()
        self.count = 0

    def next_delay_s(self, now_s: float) -> float | None:
        """Seconds to wait before the next restart, which is counted; None when there were too many lately."""
        while self._recent and self._recent[0] <= now_s - WINDOW_S:
            self._recent.popleft()
        if len(self._recent) >= self._most:
            return None
        delay_s = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** len(self._recent))
        self._recent.append(now_s)
        self.count += 1
        return float(delay_s)
