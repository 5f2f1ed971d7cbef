"""What a search leaves behind: ``result.json``, and ``trident.toml`` ready to serve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from trident.bench.plan import Lengths
from trident.tune import base, effects, roofline, spending, toml
from trident.tune.effects import Effect
from trident.tune.journal import Asked
from trident.tune.knobs import KNOBS
from trident.tune.noise import CONFIDENCE, Interval
from trident.tune.records import Changes, Measured, Record
from trident.tune.roofline import Machine, Roofline
from trident.tune.search import Candidate, Found
from trident.tune.spending import Spending

RESULT, CONFIGURATION = "result.json", "trident.toml"
SCHEMA_VERSION = 2
Verdict = Literal["better", "base", "not confirmed", "nothing serves"]
"""``base``: nothing better was found. ``not confirmed``: what looked better in the search was not so on the held-out
seed, or the base could not be measured beside it."""
WORDS: dict[Verdict, str] = {
    "better": "the best is better than the base",
    "base": "nothing better than the base was found",
    "not confirmed": "what looked better was not confirmed: the base is kept",
    "nothing serves": "no configuration served a request within the SLOs",
}


NOTHING_TRIED = "the budget allowed no other configuration to be tried: give more --budget-min, or a quieter machine"


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One configuration. ``change``, ``low`` and ``high`` are shares of the best's score at that time, ``agreement`` is
    the quality gate's, ``start_s`` the latest start's."""

    number: int
    purpose: str
    changes: Changes
    failure: str | None
    score: float | None
    level: float | None
    runs: int
    change: float | None = None
    low: float | None = None
    high: float | None = None
    agreement: float | None = None
    start_s: float = 0.0
    figures: dict[str, float] = {}


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A whole search. ``held_out`` are the runs of the verdict; ``interval`` is of the winner against the base, as
    shares of the base's score, at ``confidence``."""

    schema_version: int = SCHEMA_VERSION
    asked: Asked
    verdict: Verdict
    winner: Changes
    unconfirmed: Changes | None
    confidence: float
    interval: Interval | None
    held_out_base: list[Measured]
    held_out_best: list[Measured]
    trials: list[Trial]
    effects: list[Effect]
    simplified: list[Changes]
    front: list[Measured]
    spending: Spending
    roofline: Roofline | None = None


def write(
    folder: Path, asked: Asked, found: Found, records: Sequence[Record], machine: Machine | None = None
) -> Outcome:
    """Both files. The configuration is the base where nothing better was proven."""
    made = _outcome(asked, found, records)
    made = msgspec.structs.replace(made, roofline=_roofline(made, machine))
    text = msgspec.json.format(msgspec.json.encode(made), indent=2)
    (folder / RESULT).write_bytes(text)
    tables = {"model": asked.model, **base.changed(asked.tables, made.winner, asked.space)}
    notes = {knob.name: knob.why for knob in KNOBS if knob.name in made.winner}
    (folder / CONFIGURATION).write_text(toml.text(tables, _comments(made), notes), encoding="utf-8")
    return made


def lines(made: Outcome) -> list[str]:
    """The verdict in the terminal."""
    unit = made.asked.objective.unit
    found = ["", f"{WORDS[made.verdict]}: {_said(made.winner)}"]
    if len(made.trials) == 1:
        found.append(NOTHING_TRIED)
    if made.interval is not None:
        low, high = 100 * made.interval.low, 100 * made.interval.high
        found += [
            f"held-out seed: base {_scores(made.held_out_base)}, best {_scores(made.held_out_best)} {unit}",
            f"change {100 * made.interval.change:+.1f} %, {made.confidence:.0%} interval {low:+.1f} to {high:+.1f} %",
        ]
    if made.roofline is not None:
        found.append(f"roofline: {100 * made.roofline.share:.1f} % of {made.roofline.tokens_per_s:,.0f} tokens/s")
    spent = made.spending
    failed = sum(trial.failure is not None for trial in made.trials)
    found.append(
        f"{len(made.trials)} configurations ({failed} failed), {spent.starts} starts took {spent.starting_s:.0f} of "
        f"{spent.total_s:.0f} s"
    )
    return found


def _outcome(asked: Asked, found: Found, records: Sequence[Record]) -> Outcome:
    verdict = _verdict(found)
    best = found.best.changes if found.best else {}
    wins = verdict == "better" or (found.base.failure is not None and verdict == "not confirmed")
    return Outcome(
        asked=asked,
        verdict=verdict,
        winner=best if wins else {},
        unconfirmed=None if wins or not best else best,
        confidence=CONFIDENCE,
        interval=found.verdict,
        held_out_base=found.held_out_base,
        held_out_best=found.held_out_best,
        trials=[_trial(number, one) for number, one in enumerate(found.candidates)],
        effects=effects.of(found.candidates, asked.space),
        simplified=found.simplified,
        front=effects.front([level for record in records for level in record.levels]),
        spending=spending.of(records),
    )


def _roofline(made: Outcome, machine: Machine | None) -> Roofline | None:
    """Of the winner's own run; under a closed loop as many sequences run as there are clients."""
    asked = made.asked
    trial = next((one for one in made.trials if one.changes == made.winner and one.runs), None)
    reached = trial.figures.get(effects.RATE) if trial else None
    is_closed = asked.loading.load is None or asked.loading.load.kind == "closed"
    if machine is None or trial is None or not trial.level or reached is None or not is_closed:
        return None
    workload = asked.loading.workload
    return roofline.of(
        asked.sizes, machine, sequences=trial.level, reached_tokens_per_s=reached,
        context_tokens=_mean(workload.input_tokens) + _mean(workload.output_tokens) / 2,
    )  # fmt: skip


def _mean(lengths: Lengths) -> float:
    if lengths.kind == "uniform":
        return (lengths.a + lengths.b) / 2
    return lengths.a * math.exp(lengths.b**2 / 2) if lengths.kind == "lognormal" else lengths.a


def _verdict(found: Found) -> Verdict:
    scores = [one.score for one in found.candidates if one.score is not None]
    if not scores or (found.best is not None and not found.best.runs):
        return "nothing serves"
    if found.is_better:
        return "better"
    return "base" if found.best is found.base else "not confirmed"


def _trial(number: int, one: Candidate) -> Trial:
    shown = one.runs[0] if one.runs else one.look
    against = one.against_best
    return Trial(
        number=number,
        purpose=one.purpose,
        changes=one.changes,
        failure=one.failure,
        score=one.score,
        level=shown.level if shown else None,
        runs=len(one.runs),
        change=against.change if against else None,
        low=against.low if against else None,
        high=against.high if against else None,
        agreement=one.agreement,
        start_s=round(one.start_s, 2),
        figures=shown.figures if shown else {},
    )


def _comments(made: Outcome) -> list[str]:
    found = [
        f"Written by trident tune {made.asked.trident} for vLLM {made.asked.vllm} ({made.asked.build}).",
        f"Goal: {made.asked.objective.text}.",
        f"Verdict: {WORDS[made.verdict]}.",
    ]
    if made.interval is not None:
        found.append(
            f"Held-out runs: {100 * made.interval.change:+.1f} %, {made.confidence:.0%} interval "
            f"{100 * made.interval.low:+.1f} to {100 * made.interval.high:+.1f} %."
        )
    agreement = next((trial.agreement for trial in made.trials if trial.changes == made.winner), None)
    if agreement is not None and made.asked.gate is not None:
        found.append(
            f"It changes the model's numbers: {agreement:.0%} of {len(made.asked.gate.prompts)} greedy answers begin "
            f"with the base's {made.asked.gate.tokens} tokens."
        )
    doubts = [f"{knob.name}: {knob.doubt}." for knob in KNOBS if knob.doubt and knob.name in made.winner]
    return [*found, *doubts, "Serve it: trident serve --config THIS_FILE. Keys and certificates are not in it."]


def _scores(runs: Sequence[Measured]) -> str:
    return ", ".join(f"{run.score:.2f}" for run in runs) or "–"


def _said(changes: Changes) -> str:
    return (
        ", ".join(f"{name} = {'unset' if value is None else value}" for name, value in changes.items()) or "no change"
    )
