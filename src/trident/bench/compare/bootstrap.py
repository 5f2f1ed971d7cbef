"""Intervals of a difference between two runs.

Requests that are near in time share batches and queues, so they are not independent, and resampling them one by one
gives intervals that are too narrow. Whole blocks of neighbours are drawn instead, from a series closed to a circle
(Politis and Romano 1992); blocks grow with the cube root of the sample and hold at least one request of each client.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
LEAST_RESAMPLES = 200
LARGEST_DRAW = 20_000_000
"""Values drawn at most for one sample: more would take seconds."""
LARGEST_CHUNK = 1_000_000
"""Values held at once."""
LEAST_BLOCKS = 10
LEAST_SAMPLES = 20

Samples = NDArray[np.float64]


def block_length(n: int, concurrency: int) -> int:
    """Neighbours drawn together, out of ``n``: never so many that fewer than ``LEAST_BLOCKS`` are left."""
    return max(1, min(max(round(math.pow(n, 1 / 3)), concurrency), n // LEAST_BLOCKS))


def percentiles(values: Samples, percents: Sequence[float], concurrency: int, rng: np.random.Generator) -> Samples:
    """Percentiles of resamples of ``values``, which are in the order of time: an array [resample, percentile]."""
    n = len(values)
    length = block_length(n, concurrency)
    resamples = max(LEAST_RESAMPLES, min(RESAMPLES, LARGEST_DRAW // n))
    at_once = max(1, LARGEST_CHUNK // n)
    drawn = []
    for done in range(0, resamples, at_once):
        starts = rng.integers(0, n, (min(at_once, resamples - done), -(-n // length), 1))
        chosen = ((starts + np.arange(length)) % n).reshape(len(starts), -1)[:, :n]
        drawn.append(np.percentile(values[chosen], percents, axis=1).T)
    return np.concatenate(drawn)


def difference(drawn_a: Samples, drawn_b: Samples, confidence: float, rng: np.random.Generator) -> tuple[float, float]:
    """The ends of the interval of B minus A, from resamples of both, which are paired at random."""
    pairs = (rng.choice(drawn_b, RESAMPLES) - rng.choice(drawn_a, RESAMPLES)) if len(drawn_a) else np.zeros(1)
    outside = 100 * (1 - confidence) / 2
    low, high = np.percentile(pairs, (outside, 100 - outside))
    return float(low), float(high)


def shares(count: int, total: int, rng: np.random.Generator) -> Samples:
    """Shares that ``count`` out of ``total`` may have come from: Jeffreys' posterior, which is sound at 0 and 1 too."""
    return rng.beta(count + 0.5, total - count + 0.5, RESAMPLES)
