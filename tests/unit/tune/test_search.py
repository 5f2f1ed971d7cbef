"""The search on servers that do not exist."""

from __future__ import annotations

from pathlib import Path

import pytest
import tune_surfaces as surfaces
from searched import ASKED, unwatched
from tune_surfaces import Surface

from trident.errors import ConfigurationError
from trident.tune import loop
from trident.tune.journal import Journal
from trident.tune.plan import Plan
from trident.tune.records import Record, Step
from trident.tune.search import Found, Search
from trident.tune.space import Space


def found(surface: Surface, folder: Path, *, seed: int = 0, most_trials: int = 1000) -> Found:
    journal = Journal(folder)
    journal.begin(ASKED)
    search = Search(Plan(budget_s=900, seed=seed, most_trials=most_trials), surface.space)
    return loop.run(search, surface, journal, [], unwatched)


@pytest.mark.parametrize("seed", range(3))
def test_better_configuration_is_found_and_confirmed(tmp_path: Path, seed: int) -> None:
    surface = surfaces.separable(seed)
    outcome = found(surface, tmp_path, seed=seed)
    assert outcome.best is not None
    assert outcome.is_better and outcome.verdict is not None and outcome.verdict.change > 0.05
    assert surface.regret(outcome.best.changes) < surface.regret({}) / 2
    assert outcome.spent_s <= 900 * 1.05


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_accepted_where_nothing_matters(tmp_path: Path, seed: int) -> None:
    outcome = found(surfaces.flat(seed), tmp_path, seed=seed)
    assert not outcome.is_better


def test_first_trial_is_the_base_measured_twice(tmp_path: Path) -> None:
    surface = surfaces.flat()
    found(surface, tmp_path)
    first, second, third = surface.measured[:3]
    assert (first.changes, first.purpose, first.level) == ({}, "base", None)
    assert (second.changes, second.is_fresh, third.changes, third.is_fresh) == ({}, False, {}, True)


def test_planted_bad_base_is_left_within_three_trials(tmp_path: Path) -> None:
    """The base has max_num_seqs 1; the preset that takes it out comes first."""
    knobs = {"max_num_seqs": [None, 64, 256], "stream_interval": [2, 8]}
    space = Space(knobs, presets=[{"max_num_seqs": None}, {"stream_interval": 8}])
    surface = Surface(space, lambda changes: 10.0 if "max_num_seqs" in changes else 1.5)
    outcome = found(surface, tmp_path)
    accepted = [one for one in outcome.candidates[:3] if one.score is not None and one.score > 8]
    assert accepted and outcome.best is not None and "max_num_seqs" in outcome.best.changes
    assert outcome.is_better


def test_far_better_preset_is_confirmed_though_time_is_short(tmp_path: Path) -> None:
    """As on a busy machine, where one repeat more had no time: the held-out runs have."""
    space = Space({"max_num_seqs": [None, 64]}, presets=[{"max_num_seqs": None}])
    surface = Surface(space, lambda changes: 10.0 if "max_num_seqs" in changes else 1.5)
    journal = Journal(tmp_path)
    journal.begin(ASKED)
    outcome = loop.run(Search(Plan(budget_s=280, most_trials=3), space), surface, journal, [], unwatched)
    assert outcome.is_better and outcome.best is not None and outcome.best.changes == {"max_num_seqs": None}
    assert outcome.spent_s < 300


def test_failed_start_costs_one_trial(tmp_path: Path) -> None:
    surface = surfaces.separable()
    space = surface.space
    surface.space = Space(space.knobs, presets=[{"max_num_batched_tokens": 16384}])
    outcome = found(surface, tmp_path)
    failed = [one for one in outcome.candidates if one.changes == {"max_num_batched_tokens": 16384}]
    assert failed[0].failure == "it does not start"
    assert sum(step.changes == {"max_num_batched_tokens": 16384} for step in surface.measured) == 1
    assert outcome.is_better


def test_base_that_does_not_start_is_left(tmp_path: Path) -> None:
    surface = surfaces.flat()
    surface.truth = lambda changes: None if "max_num_seqs" not in changes else 10.0
    outcome = found(surface, tmp_path)
    assert outcome.base.failure is not None
    assert outcome.best is not None and "max_num_seqs" in outcome.best.changes
    assert outcome.verdict is None


def test_what_cannot_fit_is_never_started(tmp_path: Path) -> None:
    surface = surfaces.separable()
    journal = Journal(tmp_path)
    journal.begin(ASKED)
    too_big = {"max_num_seqs": 256}
    search = Search(
        Plan(budget_s=1500),
        Space(surface.space.knobs, presets=[too_big]),
        lambda changes: "too big" if changes.get("max_num_seqs") == 256 else None,
    )
    outcome = loop.run(search, surface, journal, [], unwatched)
    assert any(one.changes == too_big and one.failure == "too big" for one in outcome.candidates)
    assert not any(step.changes.get("max_num_seqs") == 256 for step in surface.measured)


def test_presets_come_on_top_of_what_is_best(tmp_path: Path) -> None:
    space = Space({"stream_interval": [8], "enforce_eager": [False]},
                  presets=[{"stream_interval": 8}, {"enforce_eager": False}])  # fmt: skip
    surface = Surface(space, lambda changes: 10.0 * 1.3 ** len(changes))
    outcome = found(surface, tmp_path, most_trials=3)
    assert [one.changes for one in outcome.candidates[:3]] == [
        {}, {"stream_interval": 8}, {"stream_interval": 8, "enforce_eager": False},
    ]  # fmt: skip
    assert outcome.best is not None and len(outcome.best.changes) == 2 and outcome.is_better


def test_far_better_candidate_is_believed_in_without_a_repeat(tmp_path: Path) -> None:
    space = Space({"stream_interval": [8]}, presets=[{"stream_interval": 8}])
    surface = Surface(space, lambda changes: 20.0 if changes else 10.0)
    found(surface, tmp_path)
    runs = [step for step in surface.measured if step.changes and step.level and step.purpose != "held-out"]
    assert len(runs) == 1


def test_later_looks_begin_where_the_best_was(tmp_path: Path) -> None:
    surface = surfaces.separable()
    found(surface, tmp_path)
    base, *others = [step for step in surface.measured if step.level is None]
    assert not base.is_near and others and all(step.is_near and step.first_level > 1 for step in others)


GATED = Space({"dtype": ["float32"], "stream_interval": [8]}, presets=[{"dtype": "float32"}, {"stream_interval": 8}],
              numerics=["dtype"])  # fmt: skip


def gated(folder: Path, answers: list[str]) -> tuple[Surface, Found]:
    """The base answers ``abcd``; float32 is twice as fast and answers otherwise."""
    surface = Surface(GATED, lambda changes: 20.0 if "dtype" in changes else 10.0)
    surface.answers = lambda changes: answers if changes else list("abcd")
    journal = Journal(folder)
    journal.begin(ASKED)
    search = Search(Plan(budget_s=900, least_agreement=0.75), GATED)
    return surface, loop.run(search, surface, journal, [], unwatched)


def test_other_answers_fail_the_gate_however_fast_they_come(tmp_path: Path) -> None:
    surface, outcome = gated(tmp_path, list("abxy"))
    fast = [one for one in outcome.candidates if "dtype" in one.changes]
    assert fast and all("fails the quality gate: 50% of 4" in (one.failure or "") for one in fast)
    assert outcome.best is not None and "dtype" not in outcome.best.changes
    assert not any("dtype" in step.changes and step.purpose != "gate" for step in surface.measured)


def test_answers_that_agree_enough_pass_the_gate(tmp_path: Path) -> None:
    surface, outcome = gated(tmp_path, list("abcx"))
    assert outcome.best is not None and outcome.best.agreement == 0.75 and outcome.is_better
    first, *asked = [step.changes for step in surface.measured if step.purpose == "gate"]
    assert first == {} and asked and all(GATED.changes_numerics(changes) for changes in asked)


def test_without_numerics_in_the_space_nobody_is_asked(tmp_path: Path) -> None:
    surface = surfaces.flat()
    journal = Journal(tmp_path)
    journal.begin(ASKED)
    loop.run(Search(Plan(budget_s=600, least_agreement=0.9), surface.space), surface, journal, [], unwatched)
    assert not any(step.purpose == "gate" for step in surface.measured)


def test_tie_goes_to_fewer_changes(tmp_path: Path) -> None:
    surface = surfaces.separable(starts_share=0.005, slices_share=0.05)
    surface.space = Space(surface.space.knobs, presets=[{"stream_interval": 8, "block_size": 64}])
    outcome = found(surface, tmp_path, most_trials=2)
    assert outcome.best is not None
    assert outcome.best.changes == {"stream_interval": 8}


@pytest.mark.parametrize("kept", [0, 1, 5, 12])
def test_resumed_search_ends_like_an_uninterrupted_one(tmp_path: Path, kept: int) -> None:
    whole = surfaces.separable()
    uninterrupted = found(whole, tmp_path / "whole")
    _, records = Journal(tmp_path / "whole").read()

    broken = tmp_path / "broken"
    journal = Journal(broken)
    journal.begin(ASKED)
    for record in records[:kept]:
        journal.add(record)
    with (broken / "journal.jsonl").open("ab") as file:
        file.write(b'{"step": {"purp')  # a line that a power cut has cut short
    again = surfaces.separable()
    again.measured = [record.step for record in records[:kept]]
    if kept:
        again.running = None
    _, done = journal.read()
    assert len(done) == kept
    resumed = loop.run(Search(Plan(budget_s=900), again.space), _Replayed(again, records), journal, done, unwatched)
    assert (resumed.best, resumed.verdict) == (uninterrupted.best, uninterrupted.verdict)
    assert [one.changes for one in resumed.candidates] == [one.changes for one in uninterrupted.candidates]
    assert journal.read()[1] == records


class _Replayed:
    """Measures what an uninterrupted search has measured: noise that came once does not come again."""

    def __init__(self, surface: Surface, records: list[Record]) -> None:
        self._records = iter(records[len(surface.measured) :])

    def run(self, step: Step) -> Record:
        record = next(self._records)
        assert record.step == step
        return record


def test_journal_of_another_search_is_refused(tmp_path: Path) -> None:
    surface = surfaces.flat()
    found(surface, tmp_path)
    journal = Journal(tmp_path)
    _, records = journal.read()
    other = surfaces.separable()
    with pytest.raises(ConfigurationError, match="cannot be gone on with"):
        loop.run(Search(Plan(budget_s=900), other.space), other, journal, records, unwatched)


def test_search_begins_no_second_time_in_a_folder(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin(ASKED)
    with pytest.raises(ConfigurationError, match="already"):
        journal.begin(ASKED)
