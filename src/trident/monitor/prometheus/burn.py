"""Alerts on spent error budgets, each over two windows: the long one says that it matters, the short one that it goes
on. The factors are those of the SRE workbook: at 14.4 two percent of 30 days' budget go in an hour, at 6 five percent
in six hours, at 1 ten percent in three days."""

from __future__ import annotations

from typing import NamedTuple

from trident.config.monitor import Monitor
from trident.monitor.prometheus.promises import INTERVAL_S, budgets
from trident.monitor.prometheus.rule import Alert, Severity

LARGEST_RATIO = 0.9
"""A generous promise, of nine in ten, would have to be broken by more than all requests to be spent 14.4 times too
fast."""
FEWEST_REQUESTS = 20
"""In the long window: one slow request of the three in a quiet night is no reason to wake somebody."""


class Pair(NamedTuple):
    """A long and a short window, the factor for both, and how bad that is."""

    long: str
    short: str
    factor: float
    severity: Severity
    long_s: int


PAIRS = (
    Pair("1h", "5m", 14.4, "page", 3600),
    Pair("6h", "30m", 6, "page", 21_600),
    Pair("3d", "6h", 1, "ticket", 259_200),
)
NAMES = {
    "availability": ("TridentAvailabilityBurn", "Requests of {{ $labels.model_name }} fail or are refused"),
    "uptime": ("TridentUptimeBurn", "The server does not serve whole"),
    "ttft": ("TridentTtftBurn", "First tokens of {{ $labels.model_name }} come late"),
    "tpot": ("TridentTpotBurn", "Tokens of {{ $labels.model_name }} come slowly"),
}
NEXT_STEPS = {
    "availability": "See which: trident:refused:rate1m, vllm:request_success_total by finished_reason, trident logs.",
    "uptime": "See what has died and why: trident status, then trident logs.",
    "ttft": "Is it the wait (trident:waiting_requests:sum) or the prefill (trident:prefill_seconds:mean_1m)?",
    "tpot": "See the batch (trident:running_requests:sum), preemptions, and who else uses the GPU or the cores.",
}


def alerts(monitor: Monitor) -> list[Alert]:
    """Three for each promise."""
    return [_alert(slo, budget, pair) for slo, budget in budgets(monitor).items() for pair in PAIRS]


def _alert(slo: str, budget: float, pair: Pair) -> Alert:
    name, summary = NAMES[slo]
    threshold = min(pair.factor * budget, LARGEST_RATIO)
    expr = (
        f'trident:slo_errors:ratio{pair.long}{{slo="{slo}"}} > {threshold:.6g}'
        f' and trident:slo_errors:ratio{pair.short}{{slo="{slo}"}} > {threshold:.6g}'
    )
    if slo != "uptime":
        total = f'sum_over_time(trident:slo_requests:rate5m{{slo="{slo}"}}[{pair.long}]) * {INTERVAL_S}'
        expr += f" and {total} > {FEWEST_REQUESTS}"
    return Alert(
        name,
        expr,
        pair.severity,
        f"{summary}: {{{{ $value | humanizePercentage }}}} over {pair.long}, and {budget:.4g} of all may",
        NEXT_STEPS[slo],
        labels={"window": pair.long},
    )
