"""Records of one load level → a ``Point``. A pure function: the same records give the same figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from trident.bench import metrics, statistics
from trident.bench.plan import Load, Slo
from trident.bench.result import (
    ClientHealth,
    Counts,
    CountSource,
    Distribution,
    ErrorCount,
    Point,
    Rate,
    RequestRow,
    TokenCounts,
    Window,
)

LongArray = NDArray[np.int64]


def with_metrics(row: RequestRow, slos: Sequence[Slo]) -> RequestRow:
    """The row with its own metrics filled in; those of a failed request stay empty, as its times mean something
    else."""
    if row.status != "ok":
        return msgspec.structs.replace(row, good=False if slos and row.status == "error" else None)
    values = {f"{name}_ms": metric(row) for name, metric in metrics.OF_A_REQUEST.items()}
    measured = msgspec.structs.replace(row, **values)
    return msgspec.structs.replace(measured, good=metrics.is_good(measured, slos)) if slos else measured


def point(
    *,
    index: int,
    load: Load,
    rows: Sequence[RequestRow],
    arrivals: Sequence[LongArray],
    slos: Sequence[Slo],
    stopped_by: str,
    judge: Callable[[Distribution], ClientHealth],
) -> Point:
    """``rows`` of one load level, with their metrics; ``arrivals`` of each. ``judge`` gives the client's verdict on
    its TTFT (on E2E where answers come in one piece).
    """
    measured = [position for position, row in enumerate(rows) if row.phase == "measured"]
    window, notes = _window(rows, load)
    distributions = _distributions(rows, arrivals, measured)
    answered = [rows[position] for position in measured if rows[position].status == "ok"]
    whole = (min((row.sent_ns for row in rows), default=0), window.run_end_ns + 1)
    shown = distributions["ttft"] if distributions["ttft"].n else distributions["e2e"]
    return Point(
        index=index,
        load=load,
        window=window,
        stopped_by=stopped_by,
        counts=_counts(rows),
        errors=_errors(rows),
        tokens=TokenCounts(
            input_tokens=sum(row.input_tokens for row in answered),
            output_tokens=sum(row.output_tokens for row in answered),
            input_source=_source([row.input_source for row in answered]),
            output_source=_source([row.output_source for row in answered]),
        ),
        distributions=distributions,
        rates=_rates(rows, arrivals, window.start_ns, window.end_ns, slos),
        whole_run_rates=_rates(rows, arrivals, *whole, slos),
        client=judge(shown),
        notes=notes,
    )


def _window(rows: Sequence[RequestRow], load: Load) -> tuple[Window, list[str]]:
    sent = [row.sent_ns for row in rows if row.phase == "measured"]
    if not sent:
        ends = [row.end_ns for row in rows] or [0]
        return Window(start_ns=0, end_ns=0, run_end_ns=max(ends)), ["nothing was sent after the warm-up"]
    start_ns, end_ns = min(sent), max(sent)
    run_end_ns = max(row.end_ns for row in rows)
    if 2 * (end_ns - start_ns) < run_end_ns - start_ns:
        note = (
            f"too short for a steady state at {load.label}: sending took less than half of the time, so the rates are "
            "of the whole run, its start and its drain included"
        )
        return Window(start_ns=start_ns, end_ns=run_end_ns + 1, run_end_ns=run_end_ns), [note]
    return Window(start_ns=start_ns, end_ns=end_ns, run_end_ns=run_end_ns), []


def _distributions(
    rows: Sequence[RequestRow], arrivals: Sequence[LongArray], measured: Sequence[int]
) -> dict[str, Distribution]:
    answered = [position for position in measured if rows[position].status == "ok"]
    found = {}
    for name in metrics.OF_A_REQUEST:
        values = [getattr(rows[position], f"{name}_ms") for position in answered]
        found[name] = statistics.distribution(np.array([value for value in values if value is not None]), "ms")
    streamed = [arrivals[position] for position in answered if rows[position].first_ns is not None]
    found["itl"] = statistics.distribution(metrics.itl_ms(streamed), "ms")
    for name in ("input_tokens", "output_tokens"):
        counts = np.array([getattr(rows[position], name) for position in answered], np.float64)
        found[name] = statistics.distribution(counts, "tokens")
    return found


def _rates(
    rows: Sequence[RequestRow], arrivals: Sequence[LongArray], start_ns: int, end_ns: int, slos: Sequence[Slo]
) -> dict[str, Rate]:
    delivered = [position for position, row in enumerate(rows) if row.status != "error" and len(arrivals[position])]
    at_ns = np.concatenate([arrivals[position] for position in delivered] or [np.zeros(0, np.int64)])
    each = [np.full(len(arrivals[p]), rows[p].output_tokens / len(arrivals[p])) for p in delivered]
    tokens = np.concatenate(each or [np.zeros(0)])
    prompt_ns = np.array([arrivals[position][0] for position in delivered], np.int64)
    prompt_tokens = np.array([rows[position].input_tokens for position in delivered], np.float64)
    ended_ns = np.array([row.last_ns for row in rows if row.status == "ok"], np.int64)
    found = {
        "request_throughput": metrics.request_throughput(ended_ns, start_ns, end_ns),
        "output_token_throughput": metrics.output_token_throughput(at_ns, tokens, start_ns, end_ns),
        "total_token_throughput": metrics.total_token_throughput(
            at_ns, tokens, prompt_ns, prompt_tokens, start_ns, end_ns
        ),
    }
    if slos:
        good_ns = np.array([row.last_ns for row in rows if row.good], np.int64)
        ended = [row for row in rows if row.phase == "measured" and row.status != "unfinished"]
        found["goodput"] = metrics.goodput(good_ns, start_ns, end_ns)
        found["goodput_share"] = metrics.goodput_share(sum(row.good is True for row in ended), len(ended))
    return found


def _counts(rows: Sequence[RequestRow]) -> Counts:
    measured = Counter(row.status for row in rows if row.phase == "measured")
    warmup = Counter(row.status for row in rows if row.phase == "warmup")
    return Counts(
        sent=sum(measured.values()),
        ok=measured["ok"],
        errors=measured["error"],
        unfinished=measured["unfinished"],
        warmup_sent=sum(warmup.values()),
        warmup_errors=warmup["error"],
    )


def _errors(rows: Sequence[RequestRow]) -> list[ErrorCount]:
    """Of the warm-up too: nothing that failed goes unsaid."""
    kinds = Counter(row.error_kind for row in rows if row.status == "error")
    examples = {row.error_kind: row.error for row in reversed(rows) if row.status == "error"}
    return [ErrorCount(kind=kind, count=count, example=examples[kind]) for kind, count in kinds.most_common()]


def _source(sources: Sequence[CountSource]) -> CountSource:
    """The weakest one."""
    return max(sources, key=("server", "tokenizer", "estimate").index, default="estimate")
