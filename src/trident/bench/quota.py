"""How many requests a worker may still send, and which of them count."""

from __future__ import annotations

from collections.abc import Callable

from trident.bench.plan import Load, StopRules
from trident.bench.result import Phase


def share(whole: int, workers: int, worker: int) -> int:
    """The part of ``whole`` that falls to one worker; the parts add up."""
    return whole // workers + (worker < whole % workers)


class Quota:
    """``stop`` is called once, with the rule that ended the sending."""

    def __init__(self, load: Load, rules: StopRules, workers: int, worker: int, stop: Callable[[str], None]) -> None:
        self._warmup_left = share(load.warmup_requests, workers, worker)
        self._warmup_ns = int(1e9 * max(load.warmup_s, load.ramp_s))
        self._left = None if rules.num_requests is None else share(rules.num_requests, workers, worker)
        self._duration_ns = None if rules.duration_s is None else int(1e9 * rules.duration_s)
        self._stop = stop
        self._start_ns = 0
        self._end_ns: int | None = None
        self.is_over = False

    def start(self, start_ns: int) -> None:
        """The load begins."""
        self._start_ns = start_ns

    def take(self, now_ns: int) -> Phase | None:
        """Permission for one request; None when there are no more."""
        if self.is_over:
            return None
        # A loop's timer may fire a little before the start: without a warm-up that is no warm-up either.
        if self._warmup_left > 0 or (self._warmup_ns > 0 and now_ns < self._start_ns + self._warmup_ns):
            self._warmup_left -= 1
            return "warmup"
        if self._end_ns is None and self._duration_ns is not None:
            self._end_ns = now_ns + self._duration_ns
        if self._end_ns is not None and now_ns >= self._end_ns:
            self.end("duration")
            return None
        if self._left == 0:
            self.end("requests")
            return None
        if self._left is not None:
            self._left -= 1
        return "measured"

    @property
    def end_ns(self) -> int | None:
        """When the time to send is over, once that is known."""
        return self._end_ns

    def end(self, reason: str) -> None:
        """Nothing more is sent."""
        if not self.is_over:
            self.is_over = True
            self._stop(reason)
