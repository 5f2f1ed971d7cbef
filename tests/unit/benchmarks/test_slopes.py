"""What grows is told from what only varies."""

from __future__ import annotations

import numpy as np
from slopes import slope

TIMES_S = np.arange(0, 1440, 10.0)
NOISE = np.random.default_rng(0).normal(0, 1, len(TIMES_S))


def test_noise_is_flat() -> None:
    assert slope(TIMES_S, 100 + NOISE, allowed=8).verdict == "flat"


def test_growth_within_noise_is_found() -> None:
    found = slope(TIMES_S, 100 + 50 * TIMES_S / 3600 + NOISE, allowed=8)
    assert found.verdict == "grows"
    assert found.low < 50 < found.high


def test_large_noise_makes_it_unclear() -> None:
    assert slope(TIMES_S, 100 + 50 * NOISE, allowed=8).verdict == "unclear"


def test_few_samples_say_nothing() -> None:
    assert slope(TIMES_S[:3], NOISE[:3], allowed=8).verdict == "unclear"
