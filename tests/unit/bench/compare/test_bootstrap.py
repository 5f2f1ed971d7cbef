from __future__ import annotations

import numpy as np
import pytest

from trident.bench.compare import bootstrap


@pytest.mark.parametrize(
    ("n", "concurrency", "length"), [(1000, 1, 10), (1000, 64, 64), (100, 64, 10), (20, 1, 2), (5, 4, 1)]
)
def test_blocks_hold_a_request_of_each_client_and_are_many(n: int, concurrency: int, length: int) -> None:
    assert bootstrap.block_length(n, concurrency) == length


def test_interval_covers_a_known_difference_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Medians of normal samples that differ by 1, 200 times, at 90 %."""
    monkeypatch.setattr(bootstrap, "RESAMPLES", 250)
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(200):
        drawn = [bootstrap.percentiles(rng.normal(mean, 3, 100), [50.0], 1, rng)[:, 0] for mean in (10, 11)]
        low, high = bootstrap.difference(drawn[0], drawn[1], 0.9, rng)
        hits += low <= 1 <= high
    assert 0.84 <= hits / 200 <= 0.96


def test_neighbours_that_depend_on_each_other_widen_the_interval() -> None:
    rng = np.random.default_rng(1)
    steps = np.repeat(rng.normal(10, 3, 50), 20)
    alone = np.std(bootstrap.percentiles(rng.permutation(steps), [50.0], 1, rng))
    together = np.std(bootstrap.percentiles(steps, [50.0], 32, rng))
    assert together > 2 * alone


def test_large_samples_are_drawn_less_often_in_pieces() -> None:
    rng = np.random.default_rng(2)
    drawn = bootstrap.percentiles(rng.normal(0, 1, 60_000), [50.0, 99.0], 8, rng)
    assert drawn.shape == (bootstrap.LARGEST_DRAW // 60_000, 2)
    assert drawn[:, 1].mean() == pytest.approx(2.33, abs=0.1)


def test_shares_without_a_failure_are_small_and_not_none() -> None:
    drawn = bootstrap.shares(0, 1000, np.random.default_rng(3))
    assert 0 < drawn.mean() < 0.002
