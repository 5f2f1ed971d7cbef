"""How fast a quantity grows, and how sure that is.

Samples that follow one another are alike, so that a line through all of them would claim too much: it goes through the
means of ``BLOCKS`` blocks, which are far enough from one another.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCKS = 12
ALLOWED = {"MiB": 8.0, "descriptors": 4.0, "threads": 4.0}
"""Growth in an hour that is no leak worth the name, by unit."""


class Slope(NamedTuple):
    """``per_hour`` with its 95 % interval from ``low`` to ``high``: "flat" when all of it is within the allowance,
    "grows" when all of it is above, else "unclear"."""

    mean: float
    per_hour: float
    low: float
    high: float
    verdict: Literal["flat", "grows", "unclear"]


def slope(times_s: NDArray[np.float64], values: NDArray[np.float64], allowed: float) -> Slope:
    """``allowed`` is a growth in an hour. With fewer than four samples nothing is clear."""
    mean = float(values.mean()) if len(values) else math.nan
    blocks = min(BLOCKS, len(values))
    if blocks < 4:
        return Slope(mean, math.nan, -math.inf, math.inf, "unclear")
    hours = np.array([part.mean() for part in np.array_split(times_s, blocks)]) / 3600
    means = np.array([part.mean() for part in np.array_split(values, blocks)])
    apart = hours - hours.mean()
    per_hour = float((apart * means).sum() / (apart**2).sum())
    rest = means - means.mean() - per_hour * apart
    free = blocks - 2
    error = math.sqrt(float((rest**2).sum()) / free / float((apart**2).sum()))
    half = (1.96 + 2.8 / free) * error  # Student's quantile, to 1 % from 8 degrees of freedom on
    low, high = per_hour - half, per_hour + half
    return Slope(mean, per_hour, low, high, "flat" if high <= allowed else "grows" if low > allowed else "unclear")
