"""What counts as better."""

from __future__ import annotations

import numpy as np

from trident.tune import noise
from trident.tune.records import Measured, Statistic


def run(
    rng: np.random.Generator, mean: float, share: float = 0.1, statistic: Statistic = "mean", n: int = 20
) -> Measured:
    samples = [float(value) for value in mean * (1 + share * rng.standard_normal(n))]
    return Measured(level=4, score=float(np.mean(samples)), samples=samples, statistic=statistic)


def test_interval_holds_the_true_difference_about_as_often_as_it_says() -> None:
    """Starts differ by 4 %, two runs each; B is 5 % better."""
    rng = np.random.default_rng(0)

    def started(mean: float) -> Measured:
        return run(rng, mean * (1 + 0.04 * rng.standard_normal()))

    held = 0
    for trial in range(200):
        between = noise.starts([[started(100).score for _ in range(3)] for _ in range(6)])
        a, b = ([started(mean) for _ in range(2)] for mean in (100.0, 105.0))
        found = noise.compare(a, b, between, seed=trial)
        held += found.low <= 0.05 <= found.high
    assert 0.92 <= held / 200 <= 0.995


def test_large_difference_is_told_from_noise() -> None:
    rng = np.random.default_rng(1)
    starts = noise.starts([])
    assert noise.compare([run(rng, 100)] * 2, [run(rng, 130)] * 2, starts).is_better
    assert noise.compare([run(rng, 100)] * 2, [run(rng, 70)] * 2, starts).is_worse


def test_equal_configurations_are_a_tie() -> None:
    rng = np.random.default_rng(2)
    found = noise.compare([run(rng, 100)], [run(rng, 100)], noise.starts([]))
    assert not found.is_better and not found.is_worse


def test_what_serves_beats_what_serves_nobody() -> None:
    rng = np.random.default_rng(3)
    nobody = Measured(level=4, score=0.0, samples=[])
    assert noise.compare([nobody], [run(rng, 1)], noise.starts([])).is_better
    assert noise.compare([run(rng, 1)], [nobody], noise.starts([])).is_worse
    assert noise.compare([nobody], [nobody], noise.starts([])).change == 0


def test_latency_is_compared_by_its_percentile() -> None:
    """Means are equal, B's tail is shorter."""
    rng = np.random.default_rng(4)
    a, b = -np.abs(100 + 40 * rng.standard_normal(400)), -np.abs(100 + 5 * rng.standard_normal(400))
    runs = [
        [Measured(level=4, score=float(np.percentile(values, 5)), samples=[float(v) for v in values], statistic="p95")]
        * 2
        for values in (a, b)
    ]
    found = noise.compare(*runs, noise.starts([]))
    assert found.is_better and found.change > 0.2


def test_noise_of_starts_is_learnt_from_repeats() -> None:
    assert noise.starts([]).share == noise.STARTS_SHARE
    assert noise.starts([[90, 110], [80, 120, 100], [85, 110]]).share > 0.1
    assert noise.starts([[100, 100, 100]] * 5).share < noise.STARTS_SHARE


def test_configuration_at_the_edge_of_an_slo_does_not_hide_a_better_one() -> None:
    """As measured with max_num_seqs 1: the base's runs differ by a factor of six."""
    rng = np.random.default_rng(5)
    base = [run(rng, 0.36), run(rng, 2.21)]
    starts = noise.starts([[one.score for one in base], [8.3]])
    assert noise.compare(base, [run(rng, 8.3)], starts).is_better
