from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from example_result import write_example

from trident.bench import recorded
from trident.bench.compare import Comparison, compare, page
from trident.bench.compare.comparison import Difference
from trident.bench.recorded import Recorded
from trident.errors import ConfigurationError

LEVELS = (4, 16)


def made(folder: Path, **options: object) -> Recorded:
    write_example(folder, concurrencies=LEVELS, error_share=0.0, **options)  # type: ignore[arg-type]
    return recorded.load(folder)


def verdicts(found: Comparison) -> dict[str, set[str]]:
    """Of each figure at all levels."""
    said: dict[str, set[str]] = {}
    for level in found.levels:
        for one in level.differences:
            said.setdefault(page.name(one), set()).add(one.verdict)
    return said


def figure(found: Comparison, name: str) -> Difference:
    return next(one for one in found.levels[0].differences if page.name(one) == name)


def test_known_slowdown_is_found_and_inside_its_interval(tmp_path: Path) -> None:
    found = compare(made(tmp_path / "a"), made(tmp_path / "b", seed=1, slowdown=1.1))
    said = verdicts(found)
    assert said["TPOT p50 ms"] == {"worse"}
    assert said["output tokens/s"] == {"worse"}
    assert said["TTFT p50 ms"] == {"noise"}
    one = figure(found, "TPOT p50 ms")
    assert one.low is not None
    assert one.high is not None
    assert one.low < 0.1 * one.a < one.high
    assert one.high - one.low < 0.1 * one.a


def test_known_gain_is_better(tmp_path: Path) -> None:
    found = compare(made(tmp_path / "a"), made(tmp_path / "b", seed=1, slowdown=0.9))
    assert verdicts(found)["TPOT p50 ms"] == {"better"}
    assert not any(level.of("worse") for level in found.levels)


def test_equal_runs_differ_by_noise_alone(tmp_path: Path) -> None:
    """99 % intervals: of some 240 comparisons that should all be noise a few may fall outside, and the threshold
    takes most of those."""
    wrong = total = 0
    reference = made(tmp_path / "a", requests=60)
    for seed in range(1, 11):
        found = compare(reference, made(tmp_path / f"b{seed}", seed=seed, requests=60), noise_share=0.0)
        for level in found.levels:
            wrong += len(level.of("worse")) + len(level.of("better"))
            total += len(level.differences) - len(level.of("unknown"))
    assert total > 150
    assert wrong / total < 0.04


def test_run_against_itself_is_the_same(tmp_path: Path) -> None:
    one = made(tmp_path / "a")
    found = compare(one, one)
    assert {verdict for said in verdicts(found).values() for verdict in said} <= {"noise", "unknown"}
    assert found.warnings == []


def test_change_below_the_threshold_is_noise(tmp_path: Path) -> None:
    a, b = made(tmp_path / "a"), made(tmp_path / "b", seed=1, slowdown=1.1)
    assert verdicts(compare(a, b, noise_share=0.5))["TPOT p50 ms"] == {"noise"}


def test_comparison_is_the_same_each_time(tmp_path: Path) -> None:
    a, b = made(tmp_path / "a"), made(tmp_path / "b", seed=1)
    assert msgspec.json.encode(compare(a, b)) == msgspec.json.encode(compare(a, b))


def test_failures_count_however_few(tmp_path: Path) -> None:
    write_example(tmp_path / "a", concurrencies=LEVELS, error_share=0.0)
    write_example(tmp_path / "b", concurrencies=LEVELS, error_share=0.2)
    found = compare(recorded.load(tmp_path / "a"), recorded.load(tmp_path / "b"))
    assert [one.metric for one in found.levels[1].of("worse") if one.metric == "errors"] == ["errors"]
    assert found.levels[0].of("worse") == []


def test_too_few_requests_have_no_verdict(tmp_path: Path) -> None:
    found = compare(made(tmp_path / "a", requests=10), made(tmp_path / "b", seed=1, requests=10, slowdown=2.0))
    assert verdicts(found)["TTFT p50 ms"] == {"unknown"}
    assert "TTFT p99 ms" not in verdicts(found)


def test_differences_of_the_conditions_are_warned_of(tmp_path: Path) -> None:
    a, b = made(tmp_path / "a"), made(tmp_path / "b", model="other")
    points = [
        msgspec.structs.replace(point, tokens=msgspec.structs.replace(point.tokens, output_source="estimate"))
        for point in b.result.points
    ]
    machine = msgspec.structs.replace(b.result.machine, hostname="elsewhere")
    workload = msgspec.structs.replace(b.result.workload, turns=3)
    result = msgspec.structs.replace(b.result, points=points, machine=machine, workload=workload, complete=False)
    text = "\n".join(compare(a, Recorded(b.folder, result, b.rows, b.arrivals, b.scrapes)).warnings)
    for said in ("model: A has demo, B has other", "machine", "turns", "counted by server in A and by estimate in B",
                 "B is a partial result"):  # fmt: skip
        assert said in text


def test_loads_of_one_run_alone_are_named(tmp_path: Path) -> None:
    write_example(tmp_path / "b", concurrencies=(4, 64))
    found = compare(made(tmp_path / "a"), recorded.load(tmp_path / "b"))
    assert (found.only_a, found.only_b) == (["concurrency 16"], ["concurrency 64"])


def test_runs_without_a_common_load_are_refused(tmp_path: Path) -> None:
    write_example(tmp_path / "b", concurrencies=(3,))
    with pytest.raises(ConfigurationError, match="no load level in common"):
        compare(made(tmp_path / "a"), recorded.load(tmp_path / "b"))


def test_page_names_what_changed(tmp_path: Path) -> None:
    text = page.html(compare(made(tmp_path / "a"), made(tmp_path / "b", seed=1, slowdown=1.2)))
    assert "became worse" in text
    assert "TPOT p50 +" in text
    assert "They do not cover what changes from run to run" in text
