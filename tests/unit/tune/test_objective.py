"""Goals, as they are written and as a load level is judged by them."""

from __future__ import annotations

from pathlib import Path

import pytest
from example_result import write_example

from trident.bench import recorded
from trident.errors import ConfigurationError
from trident.tune import objective
from trident.tune.records import Measured, Record, Step


@pytest.mark.parametrize(
    ("kind", "slos", "text"),
    [
        ("goodput", ["ttft:200ms", "tpot:p95:0.03s"], "most goodput under ttft:200ms, tpot:p95:30ms"),
        ("throughput", ["e2e:2s"], "most output tokens per second under e2e:p95:2000ms"),
        ("latency:ttft:p99", [], "least TTFT p99"),
        ("latency", [], "least E2E p95"),
    ],
)
def test_goals_are_read(kind: str, slos: list[str], text: str) -> None:
    assert objective.parse(kind, slos).text == text


@pytest.mark.parametrize(
    ("kind", "slos"),
    [
        ("goodput", []), ("goodput", ["tpot:p95:30ms"]), ("speed", []), ("latency:itl", []), ("latency:ttft:p12", []),
        ("throughput:ttft", []), ("goodput", ["ttft"]), ("goodput", ["ttft:-1ms"]), ("goodput", ["ttft:p95:1s:2"]),
        ("goodput", ["ttft:nan"]),
    ],
)  # fmt: skip
def test_goals_that_cannot_be_meant_are_refused(kind: str, slos: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        objective.parse(kind, slos)


def test_goodput_of_a_level_is_what_the_load_test_says(tmp_path: Path) -> None:
    result = write_example(tmp_path, concurrencies=(1, 16))
    run = recorded.load(tmp_path)
    goal = objective.parse("goodput", ["ttft:120ms", "tpot:30ms"])
    for point in result.points:
        found = goal.measured(run, point)
        assert found.level == point.load.level
        assert found.score == pytest.approx(point.rates["goodput"].value, rel=1e-3)
        assert goal.score_of(point) == pytest.approx(found.score, rel=1e-3)
        assert found.figures["goodput_share"] == pytest.approx(point.rates["goodput_share"].value, abs=1e-4)


def test_throughput_of_a_level_is_what_the_load_test_says(tmp_path: Path) -> None:
    result = write_example(tmp_path, concurrencies=(4,))
    found = objective.parse("throughput", []).measured(recorded.load(tmp_path), result.points[0])
    assert found.score == pytest.approx(result.points[0].rates["output_token_throughput"].value, rel=1e-3)
    assert len(found.samples) == 20


def test_level_that_breaks_a_percentile_scores_nothing(tmp_path: Path) -> None:
    result = write_example(tmp_path, concurrencies=(16,))
    point, run = result.points[0], recorded.load(tmp_path)
    holding = objective.parse("throughput", ["tpot:p95:1s"])
    breaking = objective.parse("throughput", ["tpot:p95:1ms"])
    assert holding.measured(run, point).score > 0 and holding.score_of(point) > 0
    broken = breaking.measured(run, point)
    assert (broken.score, broken.samples, broken.broken) == (0.0, [], ["tpot:p95:1ms"])
    assert breaking.score_of(point) == 0


def test_latency_is_negative_so_that_more_is_better(tmp_path: Path) -> None:
    result = write_example(tmp_path, concurrencies=(4,))
    point = result.points[0]
    found = objective.parse("latency:ttft:p95", []).measured(recorded.load(tmp_path), point)
    p95 = point.distributions["ttft"].p95
    assert p95 is not None and found.score == pytest.approx(-p95.value, rel=1e-3)


def test_level_with_too_many_errors_scores_nothing(tmp_path: Path) -> None:
    result = write_example(tmp_path, concurrencies=(4,), error_share=0.5)
    found = objective.parse("throughput", []).measured(recorded.load(tmp_path), result.points[0])
    assert (found.score, found.broken) == (0.0, ["too many errors"])


def level(number: float, score: float, share: float) -> Measured:
    return Measured(level=number, score=score, samples=[score], figures={"goodput_share": share})


def test_best_level_is_not_over_the_edge() -> None:
    """128 clients have the most goodput, and a fifth of their requests miss the SLOs."""
    levels = [level(32, 37, 1.0), level(64, 45, 0.99), level(128, 49, 0.8)]
    best = Record(step=Step(purpose="base", changes={}), levels=levels).best
    assert best is not None and best.level == 64


def test_where_every_level_is_over_the_edge_the_best_is_taken() -> None:
    best = Record(step=Step(purpose="base", changes={}), levels=[level(1, 3, 0.5), level(2, 5, 0.6)]).best
    assert best is not None and best.level == 2


def test_lowest_of_levels_that_score_alike_is_taken() -> None:
    best = Record(step=Step(purpose="base", changes={}), levels=[level(32, 37, 1), level(64, 37.5, 1)]).best
    assert best is not None and best.level == 32
