from __future__ import annotations

import numpy as np
import pytest

from trident.bench import statistics


def test_percentiles_are_numpys() -> None:
    samples = np.random.default_rng(0).lognormal(3, 1, 5000)
    found = statistics.distribution(samples, "ms")
    assert found.n == 5000
    for name, percent in (("p50", 50), ("p90", 90), ("p95", 95), ("p99", 99), ("p99_9", 99.9)):
        assert getattr(found, name).value == np.percentile(samples, percent)


@pytest.mark.parametrize(("n", "known"), [(1, ""), (2, "p50"), (10, "p90"), (99, "p95"), (100, "p99"), (1000, "p99_9")])
def test_percentile_needs_a_sample_beyond_it(n: int, known: str) -> None:
    found = statistics.distribution(np.arange(n, dtype=float), "ms")
    names = ["p50", "p90", "p95", "p99", "p99_9"]
    assert [name for name in names if getattr(found, name)] == names[: names.index(known) + 1 if known else 0]


def test_nothing_has_no_figures() -> None:
    found = statistics.distribution(np.zeros(0), "ms")
    assert (found.n, found.mean, found.p50) == (0, None, None)


@pytest.mark.parametrize("percent", [50, 95])
def test_interval_of_a_percentile_is_the_bootstraps(percent: int) -> None:
    """The shortcut by order statistics against drawing the samples themselves."""
    samples = np.random.default_rng(1).gamma(2, 10, 400)
    rng = np.random.default_rng(2)
    drawn = np.percentile(samples[rng.integers(0, 400, (4000, 400))], percent, axis=1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    found = getattr(statistics.distribution(samples, "ms"), f"p{percent}")
    assert found.low == pytest.approx(low, rel=0.05)
    assert found.high == pytest.approx(high, rel=0.05)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    covered = {"mean": 0, "p50": 0}
    for seed in range(200):
        found = statistics.distribution(np.random.default_rng(seed).exponential(10, 200), "ms", seed=seed)
        for name, truth in (("mean", 10.0), ("p50", 10 * np.log(2))):
            estimate = getattr(found, name)
            covered[name] += estimate.low <= truth <= estimate.high
    assert all(180 <= count <= 199 for count in covered.values())


def test_figures_are_the_same_each_time() -> None:
    samples = np.random.default_rng(0).random(300)
    assert statistics.distribution(samples, "ms") == statistics.distribution(samples.copy(), "ms")


def test_large_and_small_means_have_alike_intervals() -> None:
    samples = np.random.default_rng(0).exponential(10, statistics.LARGEST_RESAMPLED)
    small, large = (statistics.distribution(part, "ms").mean for part in (samples, np.append(samples, samples[:1])))
    assert small and large and small.low and large.low
    assert small.low == pytest.approx(large.low, rel=0.01)


def test_rate_of_slices() -> None:
    steady = statistics.rate(np.full(20, 5.0), 10.0, "tokens/s")
    assert (steady.value, steady.low, steady.high) == (10.0, 10.0, 10.0)
    assert statistics.rate(np.zeros(0), 0.0, "tokens/s").value == 0.0


def test_slices_leave_out_what_is_outside() -> None:
    at_ns = np.array([-1, 0, 49, 50, 999, 1000])
    found = statistics.slices(at_ns, np.ones(6), 0, 1000)
    assert (found.sum(), found[0], found[1], found[-1]) == (4, 2, 1, 1)
