"""What the buckets of a histogram tell: quantiles as Prometheus's ``histogram_quantile`` has them, and shares."""

from __future__ import annotations

from collections.abc import Mapping

Buckets = Mapping[float, float]
"""Cumulative counts by upper bound, the last bound infinite, in rising order."""


def between(now: Buckets, before: Buckets) -> dict[float, float]:
    """What was observed meanwhile. A histogram that has begun anew counts from zero."""
    if not before or total(now) < total(before):
        return dict(now)
    return {bound: count - before.get(bound, 0.0) for bound, count in now.items()}


def total(buckets: Buckets) -> float:
    """All observations."""
    return max(buckets.values(), default=0.0)


def quantile(share: float, buckets: Buckets) -> float | None:
    """The value below which this share lies, within its bucket by straight line; None without observations. What lies
    above the last bound is said to be at that bound."""
    rank = share * total(buckets)
    if rank <= 0:
        return None
    lower_bound, lower_count = 0.0, 0.0
    for bound, count in buckets.items():
        if count >= rank:
            if bound == float("inf"):
                return lower_bound
            return lower_bound + (bound - lower_bound) * (rank - lower_count) / max(count - lower_count, 1e-12)
        lower_bound, lower_count = bound, count
    return lower_bound


def within(limit: float, buckets: Buckets) -> float:
    """How many observations are certain to be at most ``limit``: those up to the largest bound that is not above it."""
    return max((count for bound, count in buckets.items() if bound <= limit * (1 + 1e-9)), default=0.0)
