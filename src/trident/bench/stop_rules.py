"""When a load level should end before its count or time: too many errors, a server that is gone, an interval narrow
enough."""

from __future__ import annotations

import math
from collections.abc import Sequence

from trident.bench.messages import Status
from trident.bench.plan import StopRules

LEAST_ENDED = 20
"""A share of fewer requests says nothing."""
GONE_AFTER_S = 5.0
LEAST_SAMPLES = 100


class Watcher:
    """Looks at the sums of all workers. ``reason`` is set once one rule holds."""

    def __init__(self, rules: StopRules) -> None:
        self._rules = rules
        self._samples: list[float] = []
        self._ok = 0
        self._last_ok_s = 0.0
        self._errors_then = 0

    def take(self, status: Status) -> None:
        """A worker's samples."""
        if self._rules.confidence_width is not None:
            self._samples += status.tpot_ms or status.e2e_ms

    def reason(self, statuses: Sequence[Status], now_s: float) -> str | None:
        """``errors``, ``server gone`` or ``confidence``; None to go on."""
        ok, errors = sum(status.ok for status in statuses), sum(status.errors for status in statuses)
        if ok > self._ok or now_s == 0:
            self._ok, self._last_ok_s, self._errors_then = ok, now_s, errors
        if ok + errors >= LEAST_ENDED and errors > self._rules.max_error_share * (ok + errors):
            return "errors"
        if errors - self._errors_then >= LEAST_ENDED and now_s - self._last_ok_s > GONE_AFTER_S:
            return "server gone"
        if self._rules.confidence_width is not None and self._is_narrow(self._rules.confidence_width):
            return "confidence"
        return None

    def _is_narrow(self, width: float) -> bool:
        """The normal interval of the mean; requests that ran at the same time are no independent samples, so this is
        the least width it can have."""
        n = len(self._samples)
        if n < LEAST_SAMPLES:
            return False
        mean = sum(self._samples) / n
        variance = sum((sample - mean) ** 2 for sample in self._samples) / (n - 1)
        return mean > 0 and 2 * 1.96 * math.sqrt(variance / n) <= width * mean
