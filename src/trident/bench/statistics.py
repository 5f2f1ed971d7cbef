"""Percentiles, bootstrap intervals, rates. All of it is seeded: the same samples give the same figures."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from trident.bench.result import CONFIDENCE, PERCENTILES, Distribution, Estimate, Rate

RESAMPLES = 1000
LARGEST_RESAMPLED = 5000
"""Above this many samples the mean's bootstrap is its limit, the normal distribution."""
SLICES = 20

Samples = NDArray[np.float64]


def distribution(samples: Samples, unit: str, *, seed: int = 0) -> Distribution:
    """Of samples in ``unit``; percentiles interpolate linearly, as numpy's and so vLLM's do."""
    n = len(samples)
    if n == 0:
        return Distribution(unit=unit, n=0)
    rng = np.random.default_rng(seed)
    values = np.sort(samples)
    estimates = {
        name: _percentile(values, percent, rng)
        for name, percent in PERCENTILES.items()
        if n * (1 - percent / 100) >= 1 - 1e-9
    }
    return Distribution(
        unit=unit,
        n=n,
        mean=_mean(values, rng),
        std=float(values.std()),
        min=float(values[0]),
        max=float(values[-1]),
        **estimates,
    )


def rate(amounts: Samples, seconds: float, unit: str, *, seed: int = 0) -> Rate:
    """``amounts`` arrived in equal slices of ``seconds``; the interval is the bootstrap over the slices."""
    total = float(amounts.sum())
    if seconds <= 0:
        return Rate(unit=unit, value=0.0)
    rng = np.random.default_rng(seed)
    if len(amounts) < 2:
        return Rate(unit=unit, value=total / seconds)
    per_s = amounts / (seconds / len(amounts))
    mean = _mean(per_s, rng)
    return Rate(unit=unit, value=total / seconds, low=mean.low, high=mean.high)


def share(good: int, total: int, *, seed: int = 0) -> Rate:
    """``good`` out of ``total``, with the bootstrap of a proportion (a binomial)."""
    if total == 0:
        return Rate(unit="share", value=0.0)
    value = good / total
    drawn = np.random.default_rng(seed).binomial(total, value, RESAMPLES) / total
    low, high = _interval(drawn)
    return Rate(unit="share", value=value, low=low, high=high)


def slices(at_ns: NDArray[np.int64], amounts: Samples, start_ns: int, end_ns: int) -> Samples:
    """What arrived in each of ``SLICES`` equal parts of [start, end)."""
    if end_ns <= start_ns:
        return np.zeros(0)
    inside = (at_ns >= start_ns) & (at_ns < end_ns)
    index = (at_ns[inside] - start_ns) * SLICES // (end_ns - start_ns)
    return np.bincount(index, weights=amounts[inside], minlength=SLICES).astype(np.float64)


def _mean(values: Samples, rng: np.random.Generator) -> Estimate:
    n, value = len(values), float(values.mean())
    if n < 2:
        return Estimate(value)
    if n > LARGEST_RESAMPLED:
        half = 1.959964 * float(values.std(ddof=1)) / math.sqrt(n)
        return Estimate(value, value - half, value + half)
    means = values[rng.integers(0, n, (RESAMPLES, n))].mean(axis=1)
    return Estimate(value, *_interval(means))


def _percentile(values: Samples, percent: float, rng: np.random.Generator) -> Estimate:
    """The k-th smallest of n drawn with replacement is ``values`` at a Beta(k, n - k + 1) quantile: drawing that
    instead of the samples is the same bootstrap and takes as long for a million samples as for ten (Hyndman and Fan
    1996, Efron 1979).
    """
    n = len(values)
    value = float(np.percentile(values, percent))
    if n < 2:
        return Estimate(value)
    k = min(max(percent / 100 * n, 0.5), n - 0.5) + 0.5
    drawn = _at(values, rng.beta(k, n - k + 1, RESAMPLES))
    low, high = _interval(drawn)
    return Estimate(value, min(low, value), max(high, value))


def _at(values: Samples, shares: Samples) -> Samples:
    """Quantiles of sorted values, which ``np.percentile`` would sort again for each."""
    position = shares * (len(values) - 1)
    low = position.astype(np.int64)
    high = np.minimum(low + 1, len(values) - 1)
    interpolated: Samples = values[low] + (position - low) * (values[high] - values[low])
    return interpolated


def _interval(drawn: Samples) -> tuple[float, float]:
    outside = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(drawn, (outside, 100 - outside))
    return float(low), float(high)
