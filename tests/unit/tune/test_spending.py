"""Where the time of a search went."""

from __future__ import annotations

from trident.tune import spending
from trident.tune.records import Record, Step


def test_every_second_is_in_one_sum() -> None:
    look, run = Step(purpose="base", changes={}), Step(purpose="base", changes={}, level=4)
    records = [
        Record(step=look, start_s=10, took_s=30),
        Record(step=run, took_s=15),
        Record(step=Step(purpose="gate", changes={"dtype": "float32"}), start_s=4, took_s=6),
        Record(step=look, failure="it does not start", took_s=5),
        Record(step=Step(purpose="held-out", changes={}, level=4, is_fresh=True), start_s=4, took_s=20),
    ]
    found = spending.of(records)
    assert (found.starts, found.starting_s, found.first_start_s) == (4, 23, 10)
    assert (found.looking_s, found.measuring_s, found.asking_s, found.held_out_s) == (20, 15, 2, 16)
    assert found.total_s == sum(record.took_s for record in records)


def test_search_that_measured_nothing_spent_nothing() -> None:
    assert spending.of([]).total_s == 0
