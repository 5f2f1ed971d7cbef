from __future__ import annotations

import msgspec
import pytest
from example_result import write_example

from trident.bench.plan import Load
from trident.bench.result import Point, Rate
from trident.bench.sweep import Doubling, Listed, at_level, is_saturated


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Point:
    return write_example(tmp_path_factory.mktemp("x"), concurrencies=(1,)).points[0]


def at(example: Point, load: Load, served: float, good: float | None = None) -> Point:
    rates = {"request_throughput": Rate(unit="requests/s", value=served)}
    if good is not None:
        rates["goodput_share"] = Rate(unit="share", value=good)
    return msgspec.structs.replace(example, load=load, rates=rates)


def closed(concurrency: int) -> Load:
    return Load(kind="closed", concurrency=concurrency, warmup_requests=concurrency)


def test_list_is_run_in_its_order(example: Point) -> None:
    listed = Listed([closed(4), closed(1)])
    assert (listed.count, listed.next([]), listed.next([example]), listed.next([example] * 2)) == (
        2,
        closed(4),
        closed(1),
        None,
    )


def test_doubling_ends_when_more_load_brings_nothing(example: Point) -> None:
    doubling = Doubling(closed(1), 1024)
    points = [at(example, closed(1), 10.0)]
    assert doubling.next([]) == closed(1)
    assert doubling.next(points) == closed(2)
    points.append(at(example, closed(2), 19.0))
    assert doubling.next(points) == closed(4)
    points.append(at(example, closed(4), 19.5))
    assert doubling.next(points) is None


def test_largest_load_is_known_before() -> None:
    assert Listed([closed(8), closed(256), closed(2)]).largest == closed(256)
    assert Doubling(closed(1), 64).largest.concurrency == 64


def test_doubling_ends_at_the_most(example: Point) -> None:
    assert Doubling(closed(1), 3).next([at(example, closed(2), 1.0)]) is None


@pytest.mark.parametrize(("served", "saturated"), [(9.5, False), (8.5, True)])
def test_rate_that_is_not_served_is_too_much(example: Point, served: float, saturated: bool) -> None:
    load = Load(kind="open", rate_per_s=10.0, arrival="poisson")
    assert is_saturated([at(example, load, served)]) is saturated


def test_missed_objectives_are_too_much(example: Point) -> None:
    assert is_saturated([at(example, closed(1), 10.0, good=0.4)])
    assert not is_saturated([at(example, closed(1), 10.0, good=0.6)])


def test_warmup_of_one_wave_stays_one_wave() -> None:
    assert at_level(closed(4), 8).warmup_requests == 8
    assert at_level(msgspec.structs.replace(closed(4), warmup_requests=100), 8).warmup_requests == 100
