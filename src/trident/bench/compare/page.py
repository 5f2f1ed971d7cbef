"""A comparison as a page of its own, in the form of a report."""

from __future__ import annotations

from collections.abc import Sequence

from trident.bench.compare.comparison import Comparison, Difference, Level, Verdict
from trident.bench.report import numbers, page
from trident.bench.report.frame import Plot, Table
from trident.bench.report.load_plots import LATENCIES
from trident.bench.report.markup import Element, element
from trident.bench.report.page import Tone
from trident.bench.report.plots.differences import Change, differences

NAMES = {
    "request_throughput": "requests/s",
    "output_token_throughput": "output tokens/s",
    "goodput": "goodput requests/s",
    "errors": "errors",
}
TONES: dict[str, Tone] = {"better": "good", "worse": "bad", "unknown": "warn"}


def html(found: Comparison) -> str:
    """The whole page."""
    parts: list[Element | None] = [
        element("h1", "Comparison of two load tests"),
        element("p", f"A: {found.a} · B: {found.b}", class_="muted"),
        *verdicts(found),
    ]
    parts += [_section(found, position, level) for position, level in enumerate(found.levels)]
    parts.append(page.section("How to read this", page.card(element("p", found.covers, class_="muted"))))
    return page.page("Comparison of two load tests", parts)


def verdicts(found: Comparison) -> list[Element]:
    """What became worse and better, and what speaks against comparing at all."""
    boxes = []
    if found.warnings:
        boxes.append(page.verdict("warn", "The two runs differ in more than one thing.", "", found.warnings))
    changed: list[tuple[Verdict, Tone]] = [("worse", "bad"), ("better", "good")]
    for verdict, tone in changed:
        said = [f"{level.load}: {', '.join(map(short, ones))}" for level in found.levels if (ones := level.of(verdict))]
        if said:
            count = sum(len(level.of(verdict)) for level in found.levels)
            boxes.append(
                page.verdict(tone, f"{count} {'figure' if count == 1 else 'figures'} became {verdict}.", "", said)
            )
    if not any(level.of("worse") or level.of("better") for level in found.levels):
        boxes.append(page.verdict("plain", "No difference beyond noise.", ""))
    alone = [*(f"only A has {load}" for load in found.only_a), *(f"only B has {load}" for load in found.only_b)]
    if alone:
        boxes.append(page.verdict("plain", "Not compared.", "", alone))
    return boxes


def name(one: Difference) -> str:
    """``TTFT p99 ms``, ``output tokens/s``."""
    if one.metric in LATENCIES:
        return f"{LATENCIES[one.metric][0]} {one.statistic} {one.unit}"
    return NAMES[one.metric]


def short(one: Difference) -> str:
    """``TTFT p99 +25.0 %``."""
    return f"{name(one).removesuffix(' ms')} {_change(one)}"


def columns(found: Comparison) -> tuple[str, ...]:
    """The headers of ``rows``."""
    return "figure", "verdict", "A", "B", "change", f"{found.confidence:.0%} interval"


def rows(differences: Sequence[Difference]) -> list[tuple[str, ...]]:
    """Name, verdict, A, B, change, interval; shares as per cent."""
    return [(name(one), one.verdict, _value(one, one.a), _value(one, one.b), _change(one), _interval(one))
            for one in differences]  # fmt: skip


def _section(found: Comparison, position: int, level: Level) -> Element:
    said = rows(level.differences)
    tones = {(at, 1): TONES.get(row[1], "plain") for at, row in enumerate(said)}
    headers = columns(found)
    return page.section(
        level.load,
        element("p", f"{level.requests_a:,} requests in A, {level.requests_b:,} in B", class_="muted"),
        page.figures([_plot(position, level)], page.card(page.table(Table(headers, tuple(said)), tones=tones))),
    )


def _plot(position: int, level: Level) -> Plot:
    """Without what was zero in A: that has no share to change by."""
    changes = [
        Change(name(one), one.change_share, one.low / one.a if one.low is not None else None,
               one.high / one.a if one.high is not None else None, one.verdict)
        for one in level.differences
        if one.change_share is not None
    ]  # fmt: skip
    return differences(f"changes-{position}", f"Changes at {level.load}", changes)


def _value(one: Difference, value: float) -> str:
    return numbers.percent(value) if one.unit == "share" else numbers.figure(value)


def _change(one: Difference) -> str:
    if one.unit == "share":
        return f"{100 * one.change:+.2f} points"
    return numbers.change(one.change_share)


def _interval(one: Difference) -> str:
    if one.low is None or one.high is None:
        return numbers.NOT_KNOWN
    factor = 100.0 if one.unit == "share" else 100 / one.a if one.a else None
    if factor is None:
        return numbers.NOT_KNOWN
    return f"{factor * one.low:+.1f} to {factor * one.high:+.1f} {'points' if one.unit == 'share' else '%'}"
