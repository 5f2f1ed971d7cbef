"""Error budgets: each promise, each pair of windows, firing and silent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import healthy
import promtool
import pytest
from healthy import MODEL
from promtool import Scene

from trident.config.monitor import Monitor
from trident.monitor.prometheus import burn, files
from trident.monitor.prometheus.promises import budgets

TTFT = f'vllm:time_to_first_token_seconds_bucket{{{MODEL},le="1.0"}}'
TPOT = f'vllm:request_time_per_output_token_seconds_bucket{{{MODEL},le="0.1"}}'
ERRORS = f'vllm:request_success_total{{{MODEL},finished_reason="error"}}'
REFUSED = f'trident_admission_refused_total{{{MODEL},reason="wait"}}'
REFUSED_BY_OPENAI = f"trident_openai_refused_total{{{MODEL}}}"
DOOR = f'http_requests_total{{{MODEL},status="5xx"}}'
OUTAGE = "trident_server_outage_seconds_total"
STEP_S = 60
STEPS = 90
REQUESTS = 10 * STEP_S


class Promise(NamedTuple):
    """How a part of all requests, or of all time, breaks it."""

    name: str
    broken_part: float
    series: str
    is_good: bool = False

    def at(self, factor: float, window_s: int) -> dict[str, str]:
        """Its budget is spent that many times too fast over the window. Of requests those that were count, of time the
        whole window."""
        part = factor * self.broken_part
        each = part * (window_s / STEPS if self.series == OUTAGE else REQUESTS)
        return {self.series: f"0+{REQUESTS - each if self.is_good else each:g}xN"}


PROMISES = [
    Promise("TridentAvailabilityBurn", 0.001, ERRORS),
    Promise("TridentAvailabilityBurn", 0.001, REFUSED),
    Promise("TridentAvailabilityBurn", 0.001, REFUSED_BY_OPENAI),
    Promise("TridentAvailabilityBurn", 0.001, DOOR),
    Promise("TridentUptimeBurn", 0.001, OUTAGE),
    Promise("TridentTtftBurn", 0.05, TTFT, is_good=True),
    Promise("TridentTpotBurn", 0.05, TPOT, is_good=True),
]
GROUPS = ("trident-promises", "trident-burn")


@pytest.mark.parametrize("pair", burn.PAIRS, ids=lambda pair: pair.long)
@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: f"{promise.name}-{promise.series.partition('{')[0]}")
def test_budget_that_is_spent_too_fast_is_told(promise: Promise, pair: burn.Pair, tmp_path: Path, rules: Path) -> None:
    end = f"{STEPS}m"
    labels = pair.severity, pair.long
    window_s = max(pair.long_s, STEPS * STEP_S)
    above = Scene(promise.at(pair.factor * 1.1, window_s), "1m", STEPS)
    below = Scene(promise.at(pair.factor * 0.9, window_s), "1m", STEPS)
    base = healthy.series(STEP_S)

    promtool.check(
        tmp_path,
        rules,
        [
            above.test(promtool.firing(promise.name, end, *labels), base=base),
            below.test(promtool.silent(promise.name, end, *labels), base=base),
        ],
        "5m",
        GROUPS,
    )


def test_what_is_over_is_not_told_any_more(tmp_path: Path, rules: Path) -> None:
    # The long window still has it, the short one does not.
    scene = Scene({TTFT: f"0x30 0+{REQUESTS}xN"}, "1m", 90)

    promtool.check(
        tmp_path,
        rules,
        [
            scene.test(
                promtool.firing("TridentTtftBurn", "30m", "page", "1h"),
                promtool.silent("TridentTtftBurn", "45m", "page", "1h"),
                base=healthy.series(STEP_S),
            )
        ],
        "1m",
        GROUPS,
    )


def test_few_requests_wake_nobody(tmp_path: Path, rules: Path) -> None:
    # Ten slow ones within an hour.
    few = {
        TTFT: "0xN",
        f"vllm:time_to_first_token_seconds_count{{{MODEL}}}": "0+1x10 10xN",
    }
    scene = Scene(few, "1m", 90)

    promtool.check(
        tmp_path,
        rules,
        [scene.test(promtool.silent("TridentTtftBurn", "11m"), base=healthy.series(STEP_S))],
        "10s",
        GROUPS,
    )


def test_one_restart_of_the_engine_wakes_nobody(tmp_path: Path, rules: Path) -> None:
    # 25 s, a minute after Prometheus was started.
    scene = Scene({OUTAGE: "0x4 10 25xN"}, "15s", 120)
    times = (promtool.silent("TridentUptimeBurn", f"{minute}m", "page") for minute in range(1, 30))

    promtool.check(tmp_path, rules, [scene.test(*times, base=healthy.series())], "15s", GROUPS)


def test_alert_says_how_much_and_what_to_do(tmp_path: Path, rules: Path) -> None:
    scene = Scene({TTFT: "0xN"}, "1m", 60).test(base=healthy.series(STEP_S))
    alert = next(alert for alert in burn.alerts(Monitor()) if alert.name == "TridentTtftBurn")
    scene["alert_rule_test"] = [
        {
            "eval_time": "50m",
            "alertname": "TridentTtftBurn",
            "exp_alerts": [
                {
                    "exp_labels": {
                        "severity": severity,
                        "window": window,
                        "slo": "ttft",
                        "model_name": "demo",
                    },
                    "exp_annotations": {
                        "summary": f"First tokens of demo come late: 100% over {window}, and 0.05 of all may",
                        "description": alert.next_step,
                    },
                }
                for severity, window in (("page", "1h"), ("page", "6h"), ("ticket", "3d"))
            ],
        }
    ]

    promtool.check(tmp_path, rules, [scene], "1m", GROUPS)


def test_generous_promise_can_still_be_broken() -> None:
    monitor = Monitor(slo_ttft_quantile=0.9)

    for alert in burn.alerts(monitor):
        threshold = float(alert.expr.partition("> ")[2].partition(" ")[0])
        assert threshold < 1, alert.name


def test_bound_of_the_promise_is_the_bound_of_the_histogram(tmp_path: Path) -> None:
    monitor = Monitor(slo_ttft_s=2, slo_tpot_s=0.03)
    configuration = files.write(tmp_path, monitor, files.Target("127.0.0.1", 8003))
    text = json.dumps(json.loads(configuration.with_name(files.RULES).read_text()))

    assert 'time_to_first_token_seconds_bucket{le=\\"2.0\\"}' in text
    assert 'request_time_per_output_token_seconds_bucket{le=\\"0.03\\"}' in text
    assert monitor.histogram_bounds_s == {"time_to_first_token": (2.0,), "inter_token_latency": (0.03,)}
    assert budgets(monitor)["ttft"] == 0.05
