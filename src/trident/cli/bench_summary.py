"""A result's figures in the terminal."""

from __future__ import annotations

from trident.bench.result import Distribution, Point, Result
from trident.cli import show

LATENCIES = ("ttft", "tpot", "itl", "e2e")


def lines(result: Result) -> list[str]:
    """A table of the points, and what must be known to read it."""
    if not result.points:
        return []
    header = ["LOAD", "OK", "ERRORS", "REQ/S", "OUT TOK/S"]
    header += [f"{name.upper()} {part} MS" for name in LATENCIES for part in ("p50", "p99")]
    has_goodput = bool(result.slos)
    rows = [[*header, *(["GOOD"] if has_goodput else [])], *(_row(point, has_goodput) for point in result.points)]
    target = result.target
    return ["", f"{target.api} at {target.url}, model {target.model}", "", *show.columns(rows), *_notes(result)]


def _row(point: Point, has_goodput: bool) -> list[str]:
    rates = point.rates
    row = [point.load.label, str(point.counts.ok), str(point.counts.errors)]
    row += [f"{rates['request_throughput'].value:.2f}", f"{rates['output_token_throughput'].value:.0f}"]
    for name in LATENCIES:
        row += _latency(point.distributions[name])
    return [*row, f"{rates['goodput_share'].value:.0%}"] if has_goodput else row


def _latency(found: Distribution) -> list[str]:
    return [f"{estimate.value:.2f}" if estimate else "-" for estimate in (found.p50, found.p99)]


def _notes(result: Result) -> list[str]:
    notes = list(result.notes)
    if not result.complete:
        notes.append(f"PARTIAL: {result.partial_reason}")
    for point in result.points:
        notes += [f"{point.load.label}: {error.count} x {error.kind}: {error.example}" for error in point.errors]
        notes += [f"{point.load.label}: client-bound: {reason}" for reason in point.client.reasons]
        if point.counts.unfinished:
            notes.append(f"{point.load.label}: {point.counts.unfinished} requests were cut off at the end")
        if point.tokens.output_source == "estimate":
            notes.append(f"{point.load.label}: output tokens are an estimate")
        notes += [f"{point.load.label}: {note}" for note in point.notes]
    return ["", *dict.fromkeys(notes)] if notes else []
