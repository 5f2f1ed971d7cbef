"""The search as one HTML page, made of the load test report's parts: no script, nothing is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trident.bench.report import numbers, page
from trident.bench.report.frame import Plot, Table
from trident.bench.report.markup import Element, element
from trident.bench.report.page import Tone
from trident.bench.report.plots.differences import Change, differences
from trident.bench.report.plots.lines import Line, Mark, lines
from trident.tune.effects import LATENCY, RATE
from trident.tune.journal import Asked
from trident.tune.noise import Interval
from trident.tune.outcome import NOTHING_TRIED, WORDS, Outcome, Trial, Verdict
from trident.tune.records import Changes, Measured

FILE_NAME = "report.html"
TONES: dict[Verdict, Tone] = {"better": "good", "base": "plain", "not confirmed": "warn", "nothing serves": "bad"}


def write(folder: Path, asked: Asked, made: Outcome) -> Path:
    """Into the search's folder."""
    target = folder / FILE_NAME
    target.write_text(html(asked, made), encoding="utf-8")
    return target


def html(asked: Asked, made: Outcome) -> str:
    """The whole page."""
    title = f"Tuning of {asked.model}"
    parts: list[Element | None] = [
        element("h1", title),
        element("p", f"{asked.started_at} · {asked.objective.text} · {len(made.trials)} configurations · "
                     f"{made.spending.total_s / 60:.1f} min", class_="muted"),
        page.verdict(TONES[made.verdict], f"{WORDS[made.verdict].capitalize()}.", said(made.winner), _reasons(made)),
        page.section("Base and best on a held-out seed", page.card(_held_out(made))),
        page.section("Trials", page.figures([_course(made)]), page.card(_trials(made.trials))),
        page.section("What each knob did", page.figures([_effects(made)]), page.card(_effects_table(made))),
        page.section("Rate against latency", page.figures([_front(made.front)])),
        page.section("How far from the roofline", page.card(_roofline(made))),
        page.section("Where the time went", page.card(_spending(made))),
        page.section("What was not tried", page.card(_left_out(asked))),
        page.section("Conditions", page.card(_conditions(asked, made))),
    ]  # fmt: skip
    return page.page(title, parts)


def said(changes: Changes) -> str:
    """``stream_interval 8``."""
    return ", ".join(f"{name} {'unset' if value is None else value}" for name, value in changes.items()) or "the base"


def _reasons(made: Outcome) -> list[str]:
    found = [NOTHING_TRIED] if len(made.trials) == 1 else []
    if made.interval is not None:
        found.append(f"held-out runs: {_interval(made.interval)} ({made.confidence:.0%} interval)")
    if made.unconfirmed:
        found.append(f"looked better in the search: {said(made.unconfirmed)}")
    found += [f"taken back, as it was not missed: down to {said(changes)}" for changes in made.simplified]
    bound = sum(run.is_client_bound for run in (*made.held_out_base, *made.held_out_best))
    if bound:
        found.append(f"in {bound} of the held-out runs the client was late or busy: see trident bench on client-bound")
    return found


def _held_out(made: Outcome) -> Element:
    headers = ("configuration", "level", f"score, {made.asked.objective.unit}", "tokens/s", "good", "TTFT p95 ms",
               "TPOT p95 ms", "E2E p95 ms")  # fmt: skip
    rows = [("base", *_figures(run)) for run in made.held_out_base]
    rows += [("best", *_figures(run)) for run in made.held_out_best]
    return page.table(Table(headers, tuple(rows)))


def _figures(run: Measured) -> tuple[str, ...]:
    names = (RATE, "goodput_share", "ttft_p95_ms", "tpot_p95_ms", LATENCY)
    written = {"goodput_share": numbers.percent}
    shown = [written.get(name, numbers.figure)(run.figures.get(name)) for name in names]
    return (f"{run.level:g}", numbers.figure(run.score), *shown)


def _course(made: Outcome) -> Plot:
    """The trials in their order, and the best so far."""
    known = [(trial.number, trial.score) for trial in made.trials if trial.score is not None and trial.runs]
    looks = [(trial.number, trial.score) for trial in made.trials if trial.score is not None and not trial.runs]
    series = [
        Line("measured", "c0", tuple(Mark(float(number), score) for number, score in known)),
        Line("looked at only", "c5", tuple(Mark(float(number), score) for number, score in looks), is_dashed=True),
    ]
    return lines("course", "Scores of the trials", series, "trial", made.asked.objective.unit, from_zero=True)


def _trials(trials: Sequence[Trial]) -> Element:
    headers = ("trial", "why", "changes", "level", "score", "runs", "against the best then", "answers as the base's",
               "start s", "failure")  # fmt: skip
    rows, tones = [], dict[tuple[int, int], Tone]()
    for at, trial in enumerate(trials):
        against = "" if trial.change is None else _interval(Interval(trial.change, trial.low or 0.0, trial.high or 0.0))
        rows.append((str(trial.number), trial.purpose, said(trial.changes), numbers.figure(trial.level),
                     numbers.figure(trial.score), str(trial.runs), against,
                     "" if trial.agreement is None else numbers.percent(trial.agreement),
                     numbers.figure(trial.start_s), trial.failure or ""))  # fmt: skip
        if trial.failure:
            tones[at, len(headers) - 1] = "bad"
    return page.table(Table(headers, tuple(rows)), tones=tones, words=True)


def _effects(made: Outcome) -> Plot:
    """Of the values that were tried alone."""
    changes = []
    for one in made.effects:
        if one.alone is not None:
            verdict = "better" if one.alone.is_better else "worse" if one.alone.is_worse else "noise"
            changes.append(Change(f"{one.knob} {one.value}", one.alone.change, one.alone.low, one.alone.high, verdict))
    return differences("effects", "Alone, against the base", changes[:16])


def _effects_table(made: Outcome) -> Element:
    headers = ("knob", "value", "trials", "mean with it", "mean without", "alone, against the base")
    rows = tuple(
        (one.knob, str(one.value), str(one.trials), numbers.percent(one.with_it), numbers.percent(one.without),
         _interval(one.alone) if one.alone else "")
        for one in made.effects
    )  # fmt: skip
    return page.table(Table(headers, rows), words=True)


def _front(levels: Sequence[Measured]) -> Plot:
    marks = tuple(Mark(one.figures[RATE], one.figures[LATENCY]) for one in levels)
    return lines("front", "Levels that none beats in both", [Line("Pareto front", "c0", marks)], "output tokens/s",
                 "E2E p95 ms")  # fmt: skip


def _roofline(made: Outcome) -> Element:
    found = made.roofline
    if found is None:
        return element("p", "Not known: the load is no closed loop, or the machine or the model could not be measured.")
    machine = found.machine
    return page.terms(
        [
            ("Reached", f"{numbers.figure(found.reached_tokens_per_s)} tokens/s with {found.sequences:g} clients "
             f"({numbers.percent(found.share)} of the bound)"),
            ("Bound", f"{numbers.figure(found.tokens_per_s)} tokens/s, by {found.limit}: decoding alone, without "
             "prefill, sampling, and all that is not the model"),
            ("Machine", f"{machine.device}: {machine.bytes_per_s / 1e9:.1f} GB/s, "
             f"{machine.operations_per_s / 1e9:,.0f} G operations/s, measured after the search"),
        ]
    )  # fmt: skip


def _left_out(asked: Asked) -> Element:
    return page.terms(list(asked.space.left_out.items()) or [("nothing", "every knob of the prior was in the space")])


def _spending(made: Outcome) -> Element:
    spent = made.spending
    rest = (spent.starting_s - spent.first_start_s) / max(1, spent.starts - 1)
    return page.terms(
        [
            ("Starting servers", f"{spent.starting_s:.0f} s in {spent.starts} starts: the first took "
             f"{spent.first_start_s:.1f} s, as vLLM is imported then, the others {rest:.1f} s on average"),
            ("Looking for load levels", f"{spent.looking_s:.0f} s"),
            ("Measuring", f"{spent.measuring_s:.0f} s"),
            ("Held-out runs", f"{spent.held_out_s:.0f} s"),
            ("Quality gate", f"{spent.asking_s:.0f} s"),
        ]
    )  # fmt: skip


def _gate(asked: Asked) -> str:
    if not asked.space.numerics or asked.gate is None:
        return "no knob that changes the model's numbers was in the space"
    return (
        f"of {len(asked.gate.prompts)} prompts {asked.plan.least_agreement:.0%} must be answered greedily with the "
        f"same first {asked.gate.tokens} tokens as the base does ({', '.join(asked.space.numerics)})"
    )


def _conditions(asked: Asked, made: Outcome) -> Element:
    workload, loading = asked.loading.workload, asked.loading
    load = loading.load.label if loading.load else "as many clients as score best"
    return page.terms(
        [
            ("Versions", f"Trident {asked.trident}, vLLM {asked.vllm} ({asked.build})"),
            ("Load", f"{loading.api}, {workload.kind}, {load}; looks of {loading.look_s:g} s, measurements of "
             f"{loading.measure_s:g} s"),
            ("Lengths", f"input {workload.input_tokens.kind} {workload.input_tokens.a:g} {workload.input_tokens.b:g}, "
             f"output {workload.output_tokens.kind} {workload.output_tokens.a:g} {workload.output_tokens.b:g} tokens"),
            ("Budget", f"{asked.plan.budget_s / 60:g} min, of which {made.spending.total_s / 60:.1f} were used"),
            ("Quality gate", _gate(asked)),
            ("Memory", f"{asked.memory_bytes / 2**30:.1f} GiB; weights {asked.sizes.weights_bytes / 2**20:.0f} MiB"),
            ("Intervals", "bootstrap of slices (requests for a latency) within runs, and Student's t for the "
             "difference between starts, estimated from all configurations that were measured more than once"),
        ]
    )  # fmt: skip


def _interval(found: Interval) -> str:
    return f"{100 * found.change:+.1f} % ({100 * found.low:+.1f} to {100 * found.high:+.1f})"
