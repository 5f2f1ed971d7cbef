from __future__ import annotations

import numpy as np
import pytest

from trident.bench import lengths
from trident.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "mean", "low", "high"),
    [
        ("128", 128, 128, 128),
        ("uniform:10:20", 15, 10, 20),
        ("normal:100:10", 100, 50, 150),
        ("lognormal:100:0.1", 100.5, 50, 160),
    ],
)
def test_lengths_follow_their_distribution(text: str, mean: float, low: int, high: int) -> None:
    rng = np.random.default_rng(0)
    drawn = [lengths.draw(lengths.parse("--x", text), rng) for _ in range(4000)]
    assert np.mean(drawn) == pytest.approx(mean, rel=0.02)
    assert low <= min(drawn) <= max(drawn) <= high


def test_lengths_are_never_nothing() -> None:
    wide = lengths.parse("--x", "normal:1:100")
    rng = np.random.default_rng(0)
    assert min(lengths.draw(wide, rng) for _ in range(1000)) == 1


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1.5", "uniform:5:1", "uniform:1", "normal:x:1", "fixed:1:2", "99999999"]
)
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--input-tokens .* is no length"):
        lengths.parse("--input-tokens", text)
