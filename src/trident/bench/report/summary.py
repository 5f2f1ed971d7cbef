"""The top of a report: what was measured, the verdicts, the main figures in one table, and the conditions."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime, timezone

from trident.bench.plan import Lengths
from trident.bench.recorded import Recorded
from trident.bench.report import numbers
from trident.bench.report.frame import Table
from trident.bench.report.markup import Element, element
from trident.bench.report.page import Tone, table, terms, verdict
from trident.bench.result import Point, Result

LATENCY_COLUMNS = (("ttft", "p50"), ("ttft", "p99"), ("tpot", "p50"), ("tpot", "p99"), ("e2e", "p50"), ("e2e", "p99"))


def header(result: Result) -> list[Element]:
    """Title and a line of when and how long."""
    loads = f"{len(result.points)} load levels" if len(result.points) != 1 else result.points[0].load.label
    tool = "" if result.tool == "trident bench" else f" · measured by {result.tool} {result.tool_version}"
    return [
        element("h1", title(result)),
        element("p", f"{_when(result.started_at)} · {loads} · {result.duration_s:.0f} s{tool}", class_="muted"),
    ]


def title(result: Result) -> str:
    """``Load test of demo over openai-chat``."""
    return f"Load test of {result.target.model} over {result.target.api}"


def verdicts(result: Result) -> list[Element]:
    """Whether the figures can be trusted, the worst first."""
    found = []
    if not result.complete:
        found.append(verdict("bad", "Partial result.", f"The run was cut short: {result.partial_reason or 'unknown'}."))
    found += [_client(result.points)] if result.points else []
    errors = sum(point.counts.errors + point.counts.warmup_errors for point in result.points)
    if errors:
        found.append(verdict("bad", f"{errors:,} requests failed.", "They count in no latency.", _kinds(result.points)))
    if any(point.tokens.output_source == "estimate" for point in result.points):
        text = "The server gave no counts and there was no tokenizer: TPOT and token throughput are estimates."
        found.append(verdict("warn", "Output tokens are estimated.", text))
    notes = [*result.notes, *(f"{point.load.label}: {note}" for point in result.points for note in point.notes)]
    if notes:
        found.append(verdict("plain", "Notes.", "", notes))
    return found


def table_of_points(result: Result) -> Element:
    """A row for each load level."""
    has_slos = bool(result.slos)
    headers = ["load", "client", "ok", "failed", "requests/s", "tokens/s out"]
    headers += [f"{metric.upper()} {percentile}" for metric, percentile in LATENCY_COLUMNS]
    headers += ["goodput/s", "good"] if has_slos else []
    rows, tones = [], dict[tuple[int, int], Tone]()
    for at, point in enumerate(result.points):
        rates = [point.rates.get(name) for name in ("request_throughput", "output_token_throughput")]
        client = "client-bound" if point.client.client_bound else "kept up"
        row = [point.load.label, client, f"{point.counts.ok:,}", f"{point.counts.errors:,}"]
        row += [numbers.figure(rate.value if rate else None) for rate in rates]
        row += [_percentile(point, metric, percentile) for metric, percentile in LATENCY_COLUMNS]
        if has_slos:
            good, share = point.rates.get("goodput"), point.rates.get("goodput_share")
            row += [numbers.figure(good.value if good else None), numbers.percent(share.value if share else None)]
        tones[at, 1] = "bad" if point.client.client_bound else "good"
        if point.counts.errors:
            tones[at, 3] = "bad"
        rows.append(tuple(row))
    return table(Table(tuple(headers), tuple(rows)), tones=tones)


def clients(points: Sequence[Point]) -> Element:
    """The client's own health at each load level."""
    headers = ("load", "send lag p50 ms", "p99", "loop lag p99 ms", "limit ms", "processes", "busiest core",
               "CPU µs/token", "joined reads")  # fmt: skip
    rows = []
    for point in points:
        health = point.client
        send, loop = health.send_lag, health.loop_lag
        busiest = max((worker.cpu_share for worker in health.workers), default=None)
        rows.append(
            (
                point.load.label,
                numbers.figure(send.p50.value if send.p50 else None),
                numbers.figure(send.p99.value if send.p99 else send.max),
                numbers.figure(loop.p99.value if loop.p99 else loop.max),
                numbers.figure(health.lag_limit_ms),
                str(len(health.workers)),
                numbers.percent(busiest),
                numbers.figure(health.cpu_us_per_token),
                numbers.percent(health.coalesced_share),
            )
        )
    return table(Table(headers, tuple(rows)))


def conditions(run: Recorded) -> Element:
    """Everything that somebody needs who wants the same figures again."""
    result = run.result
    machine, target, workload, stop = result.machine, result.target, result.workload, result.stop
    rules = [f"{name} {value}" for name, value in (("requests", stop.num_requests), ("seconds", stop.duration_s),
             ("confidence width", stop.confidence_width)) if value is not None]  # fmt: skip
    load = result.points[0].load if result.points else None
    server = f", {target.server}" if target.server else ""
    pairs: list[tuple[str, str | Element]] = [
        ("Command", element("code", shlex.join(result.command))),
        ("Tool", f"{result.tool} {result.tool_version}, result schema {result.schema_version}"),
        ("Target", f"{target.api} at {target.url}, model {target.model}{server}"),
        ("Client machine", f"{machine.cpu}, {machine.cores} cores, {machine.memory_bytes / 2**30:.0f} GiB, Linux "
         f"{machine.kernel}, Python {machine.python}" + (f", {', '.join(machine.gpus)}" if machine.gpus else "")),
        ("Workload", f"{workload.kind}: input {_lengths(workload.input_tokens)}, output "
         f"{_lengths(workload.output_tokens)} tokens, prefix {workload.prefix_tokens} tokens from "
         f"{workload.prefix_count}, {workload.turns} turns, seed {workload.seed}, nonce {workload.nonce}, temperature "
         f"{workload.temperature:g}, ignore_eos {str(workload.ignore_eos).lower()}"),
        ("Prompt lengths from", workload.text.source),
        ("Tokens counted by", _sources(result.points)),
        ("Stop", ", ".join(rules) or "errors only"),
    ]  # fmt: skip
    if load:
        ramp = f"ramp {load.ramp_s:g} s, warm-up {load.warmup_requests} requests and {load.warmup_s:g} s"
        pairs.insert(-1, ("Warm-up", f"{ramp}; its requests count in no latency"))
    return terms(pairs)


def _client(points: Sequence[Point]) -> Element:
    bound = [point for point in points if point.client.client_bound]
    if not bound:
        return verdict("good", "The client kept up.", "Its own lag was within the limit at every load level.")
    reasons = [f"{point.load.label}: {reason}" for point in bound for reason in point.client.reasons]
    text = f"At {len(bound)} of {len(points)} load levels the client was the bottleneck: those figures measure it, "
    return verdict("bad", "Client-bound.", text + "not the server.", reasons)


def _kinds(points: Sequence[Point]) -> list[str]:
    """Each kind of error with its count over all points and one example."""
    counts: dict[str, int] = {}
    examples: dict[str, str] = {}
    for error in (error for point in points for error in point.errors):
        counts[error.kind] = counts.get(error.kind, 0) + error.count
        examples.setdefault(error.kind, error.example)
    return [f"{count:,} × {kind}: {examples[kind]}" for kind, count in sorted(counts.items(), key=lambda kv: -kv[1])]


def _percentile(point: Point, metric: str, percentile: str) -> str:
    found = point.distributions.get(metric)
    estimate = getattr(found, percentile) if found else None
    return numbers.figure(estimate.value if estimate else None)


def _lengths(lengths: Lengths) -> str:
    if lengths.kind == "fixed":
        return f"{lengths.a:g}"
    first, second = {"uniform": ("", "to"), "normal": ("mean", "± "), "lognormal": ("median", "sigma")}[lengths.kind]
    return f"{lengths.kind} {first} {lengths.a:g} {second} {lengths.b:g}".replace("  ", " ").replace("±  ", "± ")


def _sources(points: Sequence[Point]) -> str:
    """The server, the client's tokenizer, or an estimate; of all points the weakest."""
    order = ("server", "tokenizer", "estimate")
    inputs = max((point.tokens.input_source for point in points), key=order.index, default="estimate")
    outputs = max((point.tokens.output_source for point in points), key=order.index, default="estimate")
    return f"input: {inputs}, output: {outputs}"


def _when(started_at: str) -> str:
    """``2026-11-23 17:15:33 UTC``; what is no time is shown as it is."""
    try:
        return datetime.fromisoformat(started_at).astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except ValueError:
        return started_at
