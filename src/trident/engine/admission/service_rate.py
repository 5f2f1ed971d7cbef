"""How fast the engine works off what it is given, measured while requests wait for it."""

from __future__ import annotations

REMEMBERED_TURNOVERS = 4
"""Answers that began together end together: with a shorter memory the while before would be forgotten over them."""


class ServiceRate:
    """Work is in tokens as they were guessed, so wrong guesses cancel out. Times are the caller's clock.

    Only time in which requests wait counts: an engine with little to do says nothing about what it can do. Nothing
    is known before ``turnover`` requests, as many as run at once; both averages forget what lies some of these back.
    """

    def __init__(self, turnover: int) -> None:
        self._turnover = max(8, turnover)
        self._keep = 1 - 1 / (REMEMBERED_TURNOVERS * self._turnover)
        self._completed = 0
        self._work = self._work_s = self._since_s = 0.0
        self._served = self._served_s = 0.0
        self._seen_s = 0.0
        self._is_saturated = False

    def watch(self, now_s: float, *, is_saturated: bool) -> None:
        """Whether requests wait from now on."""
        if self._is_saturated:
            self._since_s += now_s - self._seen_s
        self._seen_s = now_s
        self._is_saturated = is_saturated

    def left(self, work_tokens: int, now_s: float) -> None:
        """A request has left the engine."""
        if not self._is_saturated:
            return
        self.watch(now_s, is_saturated=True)
        self._work = self._work * self._keep + work_tokens
        self._work_s = self._work_s * self._keep + self._since_s
        self._since_s = 0.0
        self._completed += 1

    def served(self, output_tokens: int, took_s: float) -> None:
        """A request has been answered ``took_s`` after the engine got it."""
        if self._is_saturated:
            self._served = self._served * self._keep + max(1, output_tokens)
            self._served_s = self._served_s * self._keep + took_s

    def wait_s(self, work_tokens: int, now_s: float) -> float | None:
        """How long that much work takes; None as long as nobody can know."""
        since_s = self._since_s + (now_s - self._seen_s if self._is_saturated else 0.0)
        # A while in which nothing ends is normal; only a longer one counts.
        elapsed_s = max(self._work_s, since_s)
        if self._completed < self._turnover or elapsed_s <= 0:
            return None
        return work_tokens * elapsed_s / self._work if self._work > 0 else None

    def service_s(self, output_tokens: int) -> float:
        """How long an answer of so many tokens takes once it is begun; 0 as long as nobody can know."""
        if self._completed < self._turnover or self._served <= 0:
            return 0.0
        return max(1, output_tokens) * self._served_s / self._served
