"""The files of a search, from a server that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
import tune_surfaces as surfaces
from searched import ASKED, unwatched
from tune_surfaces import Surface

from trident.config import load
from trident.tune import loop, outcome, report
from trident.tune.gate import Gate
from trident.tune.journal import Asked, Journal
from trident.tune.outcome import Outcome
from trident.tune.plan import Plan
from trident.tune.search import Search
from trident.tune.space import Space


def searched(folder: Path, surface: Surface) -> tuple[Asked, Outcome]:
    asked = msgspec.structs.replace(ASKED, space=surface.space, plan=Plan(budget_s=900))
    journal = Journal(folder)
    journal.begin(asked)
    found = loop.run(Search(asked.plan, asked.space), surface, journal, [], unwatched)
    return asked, outcome.write(folder, asked, found, journal.read()[1])


def test_better_configuration_is_ready_to_serve(tmp_path: Path) -> None:
    _, made = searched(tmp_path, surfaces.separable())
    assert made.verdict == "better" and made.interval is not None and made.interval.low > 0
    text = (tmp_path / "trident.toml").read_text(encoding="utf-8")
    config = load(file=tmp_path / "trident.toml", environ={})
    assert config.engine == {"max_model_len": 512, **made.winner}
    assert config.model == "demo"
    assert "Verdict: the best is better than the base." in text
    if "stream_interval" in made.winner:
        assert "text comes in larger pieces" in text


def test_result_is_read_again(tmp_path: Path) -> None:
    _, made = searched(tmp_path, surfaces.separable())
    again = msgspec.json.decode((tmp_path / "result.json").read_bytes(), type=Outcome)
    assert (again.verdict, again.winner, again.interval) == (made.verdict, made.winner, made.interval)
    assert [trial.changes for trial in again.trials] == [trial.changes for trial in made.trials]


def test_base_is_kept_where_nothing_matters(tmp_path: Path) -> None:
    _, made = searched(tmp_path, surfaces.flat(1))
    assert made.verdict in ("base", "not confirmed")
    assert made.winner == {}
    assert load(file=tmp_path / "trident.toml", environ={}).engine == {"max_model_len": 512}


def test_what_starts_wins_over_a_base_that_does_not(tmp_path: Path) -> None:
    surface = surfaces.flat()
    surface.truth = lambda changes: None if "max_num_seqs" not in changes else 10.0
    _, made = searched(tmp_path, surface)
    assert made.verdict == "not confirmed" and "max_num_seqs" in made.winner
    assert made.trials[0].failure == "it does not start"


def test_search_in_which_nothing_starts_keeps_the_base(tmp_path: Path) -> None:
    surface = surfaces.flat()
    surface.truth = lambda _: None
    asked, made = searched(tmp_path, surface)
    assert (made.verdict, made.winner) == ("nothing serves", {})
    assert "No configuration served" in report.html(asked, made)


@pytest.mark.parametrize("make", [surfaces.separable, surfaces.flat, surfaces.coupled])
def test_page_fetches_nothing_and_says_what_was_found(tmp_path: Path, make: type[Surface]) -> None:
    asked, made = searched(tmp_path, make())
    html = report.write(tmp_path, asked, made).read_text(encoding="utf-8")
    assert "<script" not in html and not re.search(r'(?:src|href)="(?!#)', html)
    assert outcome.WORDS[made.verdict].capitalize() in html
    for one in made.trials:
        assert report.said(one.changes) in html


def test_lines_for_the_terminal_have_the_interval(tmp_path: Path) -> None:
    _, made = searched(tmp_path, surfaces.separable())
    text = "\n".join(outcome.lines(made))
    assert "95% interval" in text and "configurations" in text


def test_page_says_where_the_time_went(tmp_path: Path) -> None:
    asked, made = searched(tmp_path, surfaces.separable())
    assert made.spending.starts > 5 and made.spending.total_s <= 900 * 1.05
    html = report.html(asked, made)
    assert f"in {made.spending.starts} starts" in html and "Held-out runs" in html


def test_failed_gate_is_in_page_and_result(tmp_path: Path) -> None:
    space = Space({"dtype": ["float32"]}, presets=[{"dtype": "float32"}], numerics=["dtype"])
    surface = Surface(space, lambda changes: 20.0 if changes else 10.0)
    surface.answers = lambda changes: ["other" if changes else "as ever"]
    plan, gate = Plan(budget_s=600, least_agreement=0.9), Gate(prompts=["one"])
    asked = msgspec.structs.replace(ASKED, space=space, plan=plan, gate=gate)
    journal = Journal(tmp_path)
    journal.begin(asked)
    found = loop.run(Search(plan, space), surface, journal, [], unwatched)
    made = outcome.write(tmp_path, asked, found, journal.read()[1])
    assert (made.verdict, made.winner) == ("base", {})
    assert made.trials[1].agreement == 0 and "fails the quality gate" in (made.trials[1].failure or "")
    html = report.html(asked, made)
    assert "fails the quality gate: 0% of 1 answers" in html and "must be answered greedily" in html


def test_agreement_of_a_winner_stands_in_its_configuration(tmp_path: Path) -> None:
    space = Space({"dtype": ["float32"]}, presets=[{"dtype": "float32"}], numerics=["dtype"])
    plan, gate = Plan(budget_s=600, least_agreement=0.9), Gate(prompts=["one"])
    asked = msgspec.structs.replace(ASKED, space=space, plan=plan, gate=gate)
    journal = Journal(tmp_path)
    journal.begin(asked)
    surface = Surface(space, lambda changes: 20.0 if changes else 10.0)
    outcome.write(tmp_path, asked, loop.run(Search(plan, space), surface, journal, [], unwatched), journal.read()[1])
    assert "100% of 1 greedy answers" in (tmp_path / "trident.toml").read_text(encoding="utf-8")


def test_effect_is_told_against_what_a_knob_was_added_to(tmp_path: Path) -> None:
    space = Space({"stream_interval": [8], "max_num_seqs": [64]},
                  presets=[{"stream_interval": 8}, {"max_num_seqs": 64}])  # fmt: skip
    surface = Surface(space, lambda changes: 10.0 * 1.4 ** len(changes))
    asked = msgspec.structs.replace(ASKED, space=space)
    journal = Journal(tmp_path)
    journal.begin(asked)
    found = loop.run(Search(Plan(budget_s=600, most_trials=3), space), surface, journal, [], unwatched)
    effects = {one.knob: one for one in outcome.write(tmp_path, asked, found, journal.read()[1]).effects}
    assert effects["max_num_seqs"].alone is not None and effects["max_num_seqs"].alone.change > 0.2


def test_front_has_no_level_that_another_beats(tmp_path: Path) -> None:
    _, made = searched(tmp_path, surfaces.separable())
    for one in made.front:
        assert not any(
            other.figures["output_token_throughput"] >= one.figures["output_token_throughput"]
            and other.figures["e2e_p95_ms"] < one.figures["e2e_p95_ms"]
            for other in made.front
        )


def test_budget_that_was_too_short_is_said(tmp_path: Path) -> None:
    surface = surfaces.flat()
    journal = Journal(tmp_path)
    journal.begin(ASKED)
    found = loop.run(Search(Plan(budget_s=60), surface.space), surface, journal, [], unwatched)
    made = outcome.write(tmp_path, ASKED, found, journal.read()[1])
    assert outcome.NOTHING_TRIED in outcome.lines(made)
    assert outcome.NOTHING_TRIED in report.html(ASKED, made)
