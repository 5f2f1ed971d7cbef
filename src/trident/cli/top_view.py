"""One moment of ``trident top``, drawn."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from trident.cli import show

if TYPE_CHECKING:
    from trident.monitor.numbers import Numbers
    from trident.monitor.server_view import ServerView
    from trident.monitor.slo import SloStatus
    from trident.monitor.snapshot import Gpu, Snapshot
    from trident.protocol.in_flight import InFlight

SPARKS = "▁▂▃▄▅▆▇█"
SPARK_POINTS = 40
ROWS_ABOVE_REQUESTS = 24
PHASES = {"ready": "green", "starting": "cyan", "degraded": "yellow", "draining": "yellow"}
LEVELS = {"bad": "red", "warn": "yellow", "note": "cyan"}
STATES = {"decoding": "green", "starting": "cyan", "queued": "yellow"}


def screen(snapshot: Snapshot, view: ServerView, history: Sequence[Numbers], rows: int) -> RenderableType:
    """Everything; as many requests as there are ``rows`` left."""
    parts: list[RenderableType] = [
        _head(snapshot, view),
        Text(),
        _rates(snapshot.numbers, history, view.max_running),
        Text(),
        _latencies(snapshot.numbers),
        Text(),
        _slos(snapshot.slos),
        Text(),
        _hints(snapshot),
        Text(),
        _requests(snapshot.requests.requests, snapshot.requests.total, max(3, rows - ROWS_ABOVE_REQUESTS)),
    ]
    if snapshot.gpus:
        parts[6:6] = [Text(), _gpus(snapshot.gpus)]
    return Group(*parts)


def _head(snapshot: Snapshot, view: ServerView) -> Text:
    found = view.state
    name = found.model.get("name", "") if found else ""
    line = Text.assemble((f"trident · {name}", "bold"), "  ", (snapshot.phase, PHASES.get(snapshot.phase, "red")))
    if found is not None:
        line.append(f"  up {show.duration(time.time() - found.started)}", "dim")
    for child in snapshot.children:
        if not child.is_ready:
            line.append(f"  {child.name}: {child.phase}", "red")
    return line


def _rates(now: Numbers, history: Sequence[Numbers], max_running: int | None) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_row("requests", f"{number(now.requests_per_s)}/s", f"failed {percent(now.failed_share)}",
                 _spark(history, lambda point: point.requests_per_s))  # fmt: skip
    grid.add_row("output", f"{number(now.output_tokens_per_s)} tokens/s",
                 f"prompt {number(now.prompt_tokens_per_s)} tokens/s",
                 _spark(history, lambda point: point.output_tokens_per_s))  # fmt: skip
    limit = f" of {max_running}" if max_running else ""
    waits = f"waiting {number(now.waiting)}, in front {number(now.queued)}"
    grid.add_row("running", f"{number(now.running)}{limit}", waits, _spark(history, lambda point: point.running))
    reused = f"reused {percent(now.prefix_hit_share)}, preempted {number(now.preemptions_per_min)}/min"
    grid.add_row("KV cache", percent(now.kv_share), reused, _spark(history, lambda point: point.kv_share))
    return grid


def _latencies(now: Numbers) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_row("", Text("p50", "dim"), Text("p95", "dim"), Text("p99", "dim"), "", Text("mean of a request", "dim"))
    parts = [("in front", now.gate_s), ("queue", now.queue_s), ("prefill", now.prefill_s), ("decode", now.decode_s)]
    split = [f"{name} {seconds(value)}" for name, value in parts]
    for row, (label, key) in enumerate((("first token", "ttft"), ("between tokens", "itl"), ("whole request", "e2e"))):
        values = [seconds(getattr(now, f"{key}_p{percentile}_s")) for percentile in (50, 95, 99)]
        grid.add_row(label, *values, "", "   ".join(split[row * 2 : row * 2 + 2]))
    return grid


def _slos(slos: Sequence[SloStatus]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for slo in slos:
        what = slo.name if slo.limit_s is None else f"{slo.name} ≤ {seconds(slo.limit_s)}"
        left = slo.budget_left
        colour = "dim" if left is None else "green" if left > 0.5 else "yellow" if left > 0 else "red"
        said = "too few requests yet" if left is None else f"{percent(max(0.0, left))} of the budget left"
        burn = f"burns {slo.burn:.1f}×" if slo.burn else ""
        grid.add_row(f"SLO {what}", percent(slo.share), f"target {percent(slo.target)}", Text(said, colour), burn)
    return grid


def _gpus(gpus: Sequence[Gpu]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for gpu in gpus:
        memory = f"{_gib(gpu.memory_used_bytes)} of {_gib(gpu.memory_total_bytes)} GiB"
        throttled = Text(", ".join(gpu.throttled), "yellow")
        watts, celsius = f"{number(gpu.watts)} W", f"{number(gpu.celsius)} °C"
        grid.add_row(f"GPU {gpu.index}", escape(gpu.name), percent(gpu.share), memory, watts, celsius, throttled)
    return grid


def _hints(snapshot: Snapshot) -> RenderableType:
    if not snapshot.hints:
        return Text("why slow?  nothing is in the way", "dim")
    lines = Text()
    for hint in snapshot.hints[:4]:
        lines.append("● ", LEVELS[hint.level]).append(hint.what["en"]).append(f"\n  {hint.next['en']}\n", "dim")
    lines.rstrip()
    return lines


def _requests(requests: Sequence[InFlight], total: int, rows: int) -> RenderableType:
    if not requests:
        return Text("nothing is in flight", "dim")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name, justify in (("age", "right"), ("state", "left"), ("tokens", "right"), ("prompt", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name in ("door", "model", "user"):
        table.add_column(name, no_wrap=True)
    for one in requests[:rows]:
        tokens = f"{one.output_tokens}/{one.max_tokens}" if one.max_tokens else str(one.output_tokens)
        prompt = "–" if one.prompt_tokens is None else str(one.prompt_tokens)
        told = (escape(part) for part in (one.door, one.model, one.client))
        table.add_row(seconds(one.age_s), Text(one.state, STATES[one.state]), tokens, prompt, *told)
    more = total - min(rows, len(requests))
    return Group(table, Text(f"{more} more", "dim")) if more > 0 else table


def _spark(history: Sequence[Numbers], value: Callable[[Numbers], float | None]) -> Text:
    values = [value(point) or 0.0 for point in list(history)[-SPARK_POINTS:]]
    most = max(values, default=0.0)
    bars = "".join(SPARKS[min(7, int(8 * one / most))] if most > 0 else SPARKS[0] for one in values)
    return Text(bars, "cyan")


def number(value: float | None) -> str:
    """Three digits; ``–`` for what is not known."""
    if value is None:
        return "–"
    digits = 0 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{min(digits, 3)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float | None) -> str:
    """``–`` for what is not known."""
    return "–" if share is None else f"{number(100 * share)} %"


def seconds(value: float | None) -> str:
    """In ms below a second."""
    if value is None:
        return "–"
    return f"{number(value * 1000)} ms" if value < 1 else f"{number(value)} s"


def _gib(size_bytes: float | None) -> str:
    return "–" if size_bytes is None else f"{size_bytes / 2**30:.1f}"
