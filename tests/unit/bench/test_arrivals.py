from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trident.bench import arrivals
from trident.bench.plan import Load
from trident.errors import ConfigurationError


def load(**more: object) -> Load:
    return Load(**{"kind": "open", "rate_per_s": 10.0, "arrival": "constant", **more})  # type: ignore[arg-type]


def test_constant_arrivals_are_even_from_the_start() -> None:
    assert arrivals.arrivals_s(load(), 4, seed=0) == pytest.approx([0.0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("arrival", "burstiness", "variation"), [("poisson", None, 1.0), ("gamma", 4.0, 0.5), ("gamma", 0.25, 2.0)]
)
def test_random_arrivals_have_their_rate_and_variation(
    arrival: str, burstiness: float | None, variation: float
) -> None:
    times = arrivals.arrivals_s(load(arrival=arrival, burstiness=burstiness), 40_000, seed=1)
    gaps = np.diff(times)
    assert 1 / gaps.mean() == pytest.approx(10, rel=0.05)
    assert gaps.std() / gaps.mean() == pytest.approx(variation, rel=0.05)


def test_arrivals_follow_from_the_seed() -> None:
    poisson = load(arrival="poisson")
    first = arrivals.arrivals_s(poisson, 50, seed=3)
    assert np.array_equal(first, arrivals.arrivals_s(poisson, 50, seed=3))
    assert not np.array_equal(first, arrivals.arrivals_s(poisson, 50, seed=4))
    assert np.array_equal(first[:20], arrivals.arrivals_s(poisson, 20, seed=3))


def test_ramp_grows_linearly_then_keeps_the_rate() -> None:
    times = arrivals.arrivals_s(load(ramp_s=10.0), 200, seed=0)
    assert np.count_nonzero(times < 5) == pytest.approx(12.5, abs=1)
    assert np.count_nonzero(times < 10) == pytest.approx(50, abs=1)
    assert np.diff(times[60:]) == pytest.approx(0.1)


def test_enough_arrivals_are_drawn_for_a_duration() -> None:
    for seed in range(20):
        bursty = load(arrival="gamma", burstiness=0.25)
        times = arrivals.arrivals_s(bursty, arrivals.count_until(bursty, 30.0), seed)
        assert times[-1] > 30.0


def test_trace_begins_with_its_first_time(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text('{"timestamp": 2500}\n\n{"timestamp": 2000, "input_length": 7}\n{"at_s": 4}\n')
    traced = load(arrival="trace", trace_path=str(path), rate_per_s=None)
    assert arrivals.arrivals_s(traced, 10, seed=0) == pytest.approx([0.0, 0.5, 2.0])


@pytest.mark.parametrize("content", ["", "x", '{"at_s": "soon"}', None])
def test_trace_that_cannot_be_used_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "trace.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match="The trace"):
        arrivals.trace_s(path)
