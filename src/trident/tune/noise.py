"""Is one configuration better than another, or is it chance?

Two kinds of chance: within a run (neighbouring slices or requests are drawn together, see ``bench.compare.bootstrap``),
and from one start of the server to the next, which no single run shows. The second is estimated from all
configurations that were measured more than once (for one that scatters far more, from its own runs), and added as
Student's t; before there is any, ``STARTS_SHARE`` is taken for it.

A machine's speed also drifts, by a third within minutes where others share it. So what decides are pairs: both measured
one right after the other, and the difference taken of these two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trident.bench.compare import bootstrap
from trident.tune.objective import PERCENTILES
from trident.tune.records import Measured

RESAMPLES = 1000
CONFIDENCE = 0.95
STARTS_SHARE = 0.02
"""Standard deviation between starts as a share of the score, where nothing is known of it: ``bench compare`` calls
changes below this noise, too."""
LEAST_FREEDOM = 4.0
"""Degrees of freedom that are made up by that guess where fewer were measured."""

FAR_MORE = 3.0
"""Times that its own runs must scatter more than those of all before a configuration is judged by its own."""
MEDIAN_SQUARE = 0.455
"""Median of the square of a standard normal number."""

Samples = NDArray[np.float64]


class Interval(NamedTuple):
    """Of a difference of scores, as shares of the first one's size: B against A."""

    change: float
    low: float
    high: float

    @property
    def is_better(self) -> bool:
        """Above zero as a whole."""
        return self.low > 0

    @property
    def is_worse(self) -> bool:
        """Below zero as a whole."""
        return self.high < 0


class Starts(NamedTuple):
    """How much scores differ from start to start."""

    share: float
    freedom: float


def starts(groups: Iterable[Sequence[float]]) -> Starts:
    """From the scores of configurations, one group each: the median deviation, which one configuration at the edge of
    an SLO, where scores jump, does not carry away."""
    squares: list[float] = []
    freedom = 0.0
    for scores in groups:
        mean = float(np.mean(scores)) if len(scores) else 0.0
        if len(scores) > 1 and mean:
            unbiased = len(scores) / (len(scores) - 1)
            squares += [unbiased * (value / mean - 1) ** 2 for value in scores]
            freedom += len(scores) - 1
    guessed = math.ceil(max(0.0, LEAST_FREEDOM - freedom))
    squares += guessed * [MEDIAN_SQUARE * STARTS_SHARE**2]
    return Starts(math.sqrt(float(np.median(squares)) / MEDIAN_SQUARE), max(LEAST_FREEDOM, freedom / 2))


def difference(a: Measured, b: Measured) -> float:
    """B against A as a share of their mean size, which neither of the two can make small."""
    size = (abs(a.score) + abs(b.score)) / 2
    return (b.score - a.score) / size if size else 0.0


def pairs(groups: Iterable[Sequence[float]], between: Starts) -> Starts:
    """How much differences of pairs scatter, one group of differences for each comparison. What single runs scatter by
    counts as ``LEAST_FREEDOM`` measurements of it."""
    guessed = 2 * between.share**2
    squares, freedom = LEAST_FREEDOM * guessed, LEAST_FREEDOM
    for found in groups:
        if len(found) > 1:
            squares += float(np.sum((np.array(found) - np.mean(found)) ** 2))
            freedom += len(found) - 1
    return Starts(math.sqrt(squares / freedom), freedom)


def compare_pairs(differences: Sequence[float], scatter: Starts, *, seed: int = 0) -> Interval:
    """Of the mean of these; as shares of A's size."""
    mean = float(np.mean(differences))
    drawn = np.random.default_rng(seed).standard_t(scatter.freedom, 20 * RESAMPLES)
    outside = 100 * (1 - CONFIDENCE) / 2
    low, high = mean + np.percentile(drawn, (outside, 100 - outside)) * scatter.share / math.sqrt(len(differences))
    return Interval(_of_a(mean), _of_a(float(low)), _of_a(float(high)))


def _of_a(share: float) -> float:
    """From a share of the mean of A and B to one of A; a difference of two whole means is that of nothing to all."""
    bounded = min(1.99, max(-1.99, share))
    return (1 + bounded / 2) / (1 - bounded / 2) - 1


def compare(a: Sequence[Measured], b: Sequence[Measured], between: Starts, *, seed: int = 0) -> Interval:
    """B against A, each measured once or more. What serves nobody is worse than what serves, without an interval."""
    mean_a, mean_b = (float(np.mean([run.score for run in runs])) for runs in (a, b))
    size = abs(mean_a)
    if not size or not all(run.samples for run in (*a, *b)):
        change = math.copysign(1.0, mean_b - mean_a) if mean_a != mean_b else 0.0
        return Interval(change, change, change)
    rng = np.random.default_rng(seed)
    drawn = _drawn(b, between, rng) - _drawn(a, between, rng)
    outside = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(drawn, (outside, 100 - outside)) / size
    return Interval((mean_b - mean_a) / size, float(low), float(high))


def _drawn(runs: Sequence[Measured], between: Starts, rng: np.random.Generator) -> Samples:
    """What the mean over ``runs`` may have been."""
    within = [_within(run, rng) for run in runs]
    mean = np.mean(within, axis=0)
    # Scores of single runs scatter by both kinds of chance; what is within them is in ``within`` already.
    inside = float(np.mean([values.var() for values in within]))
    scores = [run.score for run in runs]
    own = float(np.std(scores, ddof=1)) if len(runs) > 1 else 0.0
    pooled = between.share * abs(float(np.mean(scores)))
    scatter = own if own > FAR_MORE * pooled else pooled
    extra = math.sqrt(max(0.0, scatter**2 - inside) / len(runs))
    drawn: Samples = mean + extra * rng.standard_t(between.freedom, RESAMPLES)
    return drawn


def _within(run: Measured, rng: np.random.Generator) -> Samples:
    values = np.array(run.samples)
    if run.statistic != "mean":
        percent = 100 - PERCENTILES[run.statistic]
        drawn = bootstrap.percentiles(values, [percent], max(1, round(run.level)), rng)[:, 0]
        return rng.choice(drawn, RESAMPLES)
    n, length = len(values), bootstrap.block_length(len(values), 1)
    starts_at = rng.integers(0, n, (RESAMPLES, -(-n // length), 1))
    chosen = ((starts_at + np.arange(length)) % n).reshape(RESAMPLES, -1)[:, :n]
    means: Samples = values[chosen].mean(axis=1)
    return means
