"""When requests are sent in an open loop: seconds from the start, absolute, whatever the server does.

Gaps are drawn with mean 1 and stretched by the rate: constant; exponential (Poisson arrivals); gamma with shape
``burstiness`` (1 is Poisson, less comes in bursts, more is more even), as in vLLM's benchmark. In the ramp the rate
grows linearly from nothing: the n-th request is sent when the integral of the rate reaches the n-th arrival of rate 1.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trident.bench import trace
from trident.bench.plan import Load

Seconds = NDArray[np.float64]


def arrivals_s(load: Load, count: int, seed: int) -> Seconds:
    """The first ``count`` times, rising; of a trace as many as it has."""
    if load.arrival == "trace":
        return trace_s(Path(load.trace_path or ""))[:count]
    return _stretched(_unit_arrivals(load, count, seed), load.rate_per_s or 1.0, load.ramp_s)


def count_until(load: Load, seconds: float) -> int:
    """How many arrivals surely cover ``seconds``: the mean, six standard deviations of the burstiest case, and some."""
    mean = (load.rate_per_s or 1.0) * seconds
    spread = 1.0 / max(load.burstiness or 1.0, 1e-3) ** 0.5
    return int(mean + 6 * spread * mean**0.5 + 10 * spread + 10)


def trace_s(path: Path) -> Seconds:
    """Times of a trace, from its first on. Raises ConfigurationError."""
    times = np.array([line.seconds for line in trace.read(path)], np.float64)
    return np.subtract(times, times[0])


def _unit_arrivals(load: Load, count: int, seed: int) -> Seconds:
    if load.arrival == "constant":
        return np.arange(count, dtype=np.float64)
    shape = 1.0 if load.arrival == "poisson" else load.burstiness or 1.0
    gaps = np.random.default_rng((seed, 3)).gamma(shape, 1.0 / shape, count)
    return np.cumsum(gaps)


def _stretched(unit: Seconds, rate_per_s: float, ramp_s: float) -> Seconds:
    """Inverts ``rate t² / (2 ramp)`` in the ramp and ``rate (t - ramp / 2)`` after it."""
    after = unit / rate_per_s + ramp_s / 2
    if ramp_s <= 0:
        return after
    return np.where(after < ramp_s, np.sqrt(2 * ramp_s * unit / rate_per_s), after)
