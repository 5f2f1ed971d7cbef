"""How the objectives stand: since the server's start, and how fast their budget goes now."""

from __future__ import annotations

import msgspec

from trident.monitor import histogram
from trident.monitor.counts import Counts
from trident.monitor.settings import Slo

LEAST_REQUESTS = 10
"""With fewer requests one bad one says nothing."""


class SloStatus(msgspec.Struct, kw_only=True):
    """``share`` is good of all since the start, ``budget_left`` of what may be bad 1 to minus infinity, and
    ``burn`` how many times faster than allowed the last minutes spend it; None without enough requests."""

    name: str
    target: float
    limit_s: float | None
    share: float | None
    budget_left: float | None
    burn: float | None


def status(slo: Slo, now: Counts, before: Counts | None) -> SloStatus:
    """``before`` was counted some minutes ago."""
    good, asked = _good(slo, now)
    burn = None
    if before is not None:
        earlier_good, earlier_asked = _good(slo, before)
        burn = _spent(good - earlier_good, asked - earlier_asked, slo.target)
    spent = _spent(good, asked, slo.target)
    return SloStatus(
        name=slo.name,
        target=slo.target,
        limit_s=slo.limit_s,
        share=good / asked if asked >= LEAST_REQUESTS else None,
        budget_left=None if spent is None else 1 - spent,
        burn=burn,
    )


def _good(slo: Slo, counts: Counts) -> tuple[float, float]:
    """Good requests and all that there were."""
    if slo.limit_s is not None:
        buckets = counts.histograms[slo.name]
        return histogram.within(slo.limit_s, buckets), histogram.total(buckets)
    bad = counts.values.get("failed", 0.0) + counts.values.get("refused", 0.0)
    asked = counts.values.get("requests", 0.0) + counts.values.get("refused", 0.0)
    return max(0.0, asked - bad), asked


def _spent(good: float, asked: float, target: float) -> float | None:
    if asked < LEAST_REQUESTS or target >= 1:
        return None
    return (1 - good / asked) / (1 - target)
