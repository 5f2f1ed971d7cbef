"""How much of what was promised is broken, and how fast the error budgets are spent.

A promise is a part of all requests ("0.95 have their first token within a second"); what may be broken of it is its
budget (0.05). For each promise ``slo`` the requests and those that broke it are counted at the exact bound of the
histogram, not at an estimated quantile. Longer windows are means of the five-minute rates, which costs a hundredth of
asking the raw series over three days. ``uptime`` is a promise about time instead: while the engine is away nobody
counts whom it could not answer. It is asked of the raw counter, so that time that Prometheus has not seen counts as
good.
"""

from __future__ import annotations

from prometheus_client.utils import floatToGoString

from trident.config.monitor import Monitor
from trident.monitor.prometheus.recording import refused
from trident.monitor.prometheus.rule import Recording

WINDOWS = ("5m", "30m", "1h", "6h", "3d")
INTERVAL_S = 10
BY_MODEL = "by (model_name)"
BROKEN_AT_THE_DOOR = 'http_requests_total{status="5xx"}'
ENDED = "vllm:request_success_total"


def recordings(monitor: Monitor) -> list[Recording]:
    """In the order in which they are evaluated."""
    return [
        *_budgets(monitor),
        *_availability(),
        *_in_time("ttft", "vllm:time_to_first_token_seconds", monitor.slo_ttft_s),
        *_in_time("tpot", "vllm:request_time_per_output_token_seconds", monitor.slo_tpot_s),
        *(rule for window in WINDOWS for rule in _window(window)),
    ]


def budgets(monitor: Monitor) -> dict[str, float]:
    """The part that may be broken, by promise."""
    return {
        "availability": _rest(monitor.slo_availability),
        "uptime": _rest(monitor.slo_availability),
        "ttft": _rest(monitor.slo_ttft_quantile),
        "tpot": _rest(monitor.slo_tpot_quantile),
    }


def _rest(part: float) -> float:
    return round(1 - part, 9)


def _budgets(monitor: Monitor) -> list[Recording]:
    return [
        Recording("trident:slo_budget:ratio", f"vector({budget!r})", "Part that may be broken, 0 to 1", {"slo": slo})
        for slo, budget in budgets(monitor).items()
    ]


def _availability() -> list[Recording]:
    """Who leaves is no failure of ours, nor an answer."""
    unanswered = f"{refused('5m')} or rate({BROKEN_AT_THE_DOOR}[5m])"
    bad = f'rate({ENDED}{{finished_reason="error"}}[5m]) or {unanswered}'
    all_of_them = f'rate({ENDED}{{finished_reason!="abort"}}[5m]) or {unanswered}'
    return _counted("availability", f"sum {BY_MODEL} ({bad})", f"sum {BY_MODEL} ({all_of_them})")


def _in_time(slo: str, family: str, bound_s: float) -> list[Recording]:
    bound = str(floatToGoString(bound_s))  # type: ignore[no-untyped-call]
    all_of_them = f"sum {BY_MODEL} (rate({family}_count[5m]))"
    good = f'sum {BY_MODEL} (rate({family}_bucket{{le="{bound}"}}[5m]))'
    return _counted(slo, f"clamp_min({all_of_them} - {good}, 0)", all_of_them)


def _counted(slo: str, bad: str, all_of_them: str) -> list[Recording]:
    labels = {"slo": slo}
    return [
        Recording("trident:slo_broken:rate5m", bad, "Requests that broke the promise, per second", labels),
        Recording("trident:slo_requests:rate5m", all_of_them, "Requests that it is about, per second", labels),
    ]


def _window(window: str) -> list[Recording]:
    broken, requests = (_mean(f"trident:slo_{what}:rate5m", window) for what in ("broken", "requests"))
    record = f"trident:slo_errors:ratio{window}"
    return [
        Recording(record, f"{broken} / ({requests} > 0)", "Part that broke the promise, 0 to 1"),
        Recording(
            record,
            f"rate(trident_server_outage_seconds_total[{window}])",
            "Part that broke the promise, 0 to 1",
            {"slo": "uptime"},
        ),
        Recording(
            f"trident:slo_burn:ratio{window}",
            f"{record} / on (slo) group_left trident:slo_budget:ratio",
            "How many times faster than allowed the budget is spent; at 1 it lasts 30 days",
        ),
    ]


def _mean(series: str, window: str) -> str:
    return series if window == "5m" else f"avg_over_time({series}[{window}])"
