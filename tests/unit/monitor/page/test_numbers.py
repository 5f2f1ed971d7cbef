from __future__ import annotations

import pytest
from pretended import Metrics, busy

from trident.monitor import histogram, numbers, slo
from trident.monitor.counts import Counts
from trident.monitor.lookback import Lookback
from trident.monitor.numbers import Numbers
from trident.monitor.reading import Reading
from trident.monitor.settings import Slo


def reading(text: str, at_s: float = 0.0) -> Reading:
    return Reading(text.encode(), at_s)


def seen(metrics: Metrics, seconds: float) -> Numbers:
    """The numbers ``seconds`` after an empty start."""
    before, now = Reading(b"", 0.0), Reading(metrics.text, seconds)
    return numbers.of(now, Counts(now), Counts(before), Counts(before), 1000.0)


def test_labels_are_read_with_their_escapes_and_lines_of_other_kinds_left_out() -> None:
    page = reading('# HELP a text\na{b="x\\"y\\\\z",c="1"} 2\na{b="q",c="2"} +Inf\nplain 3.5\nbroken\n')
    assert [one.value for one in page.samples("a", c="1")] == [2.0]
    assert page.samples("a")[0].labels["b"] == 'x"y\\z'
    assert page.sum("plain") == 3.5
    assert page.sum("broken") is None
    assert page.largest("absent") is None


def test_quantile_is_prometheus_own() -> None:
    # histogram_quantile(0.5, …) over these buckets is 0.2 + 0.3 * (5 - 4) / (8 - 4).
    buckets = {0.1: 2.0, 0.2: 4.0, 0.5: 8.0, float("inf"): 10.0}
    assert histogram.quantile(0.5, buckets) == pytest.approx(0.275)
    assert histogram.quantile(0.99, buckets) == 0.5, "above the last bound nothing is known"
    assert histogram.quantile(0.5, {0.1: 0.0}) is None


def test_only_what_is_certain_is_within_a_limit_between_two_bounds() -> None:
    assert histogram.within(0.15, {0.1: 2.0, 0.2: 4.0, float("inf"): 5.0}) == 2.0
    assert histogram.within(0.2, {0.1: 2.0, 0.2: 4.0, float("inf"): 5.0}) == 4.0


def test_rates_are_increases_over_the_window() -> None:
    metrics = Metrics()
    busy(metrics, 10.0, requests=20, running=8)
    found = seen(metrics, 10.0)
    assert found.output_tokens_per_s == 620
    assert found.prompt_tokens_per_s == 900
    assert found.requests_per_s == 2
    assert found.running == 8
    assert found.prefix_hit_share == pytest.approx(350 / 900, rel=1e-4)
    assert found.queue_s == pytest.approx(0.01)
    assert found.decode_s == pytest.approx(1.4)
    assert found.failed_share == 0


def test_a_counter_that_begins_anew_is_no_negative_rate() -> None:
    old, new = Metrics(), Metrics()
    busy(old, 100.0)
    busy(new, 1.0)
    before, now = Reading(old.text, 0.0), Reading(new.text, 10.0)
    found = numbers.of(now, Counts(now), Counts(before), Counts(before), 0.0)
    assert found.output_tokens_per_s == 62


def test_without_traffic_nothing_is_made_up() -> None:
    found = seen(Metrics(), 10.0)
    assert found == Numbers(at=1000.0)


def test_energy_of_a_token_is_power_over_tokens() -> None:
    metrics = Metrics(extra='trident_gpu_power_watts{gpu="0"} 310\n')
    busy(metrics, 10.0)
    assert seen(metrics, 10.0).joules_per_token == 0.5


def test_objective_counts_its_budget_from_the_start_and_its_burn_from_lately() -> None:
    before, now = Metrics(), Metrics()
    for metrics, slow in ((before, 0), (now, 10)):
        metrics.observe("time_to_first_token_seconds", 0.05, 100)
        metrics.observe("time_to_first_token_seconds", 3.0, slow)
    told = slo.status(Slo("ttft", 0.95, 1.0), Counts(Reading(now.text, 9)), Counts(Reading(before.text, 0)))
    assert told.share == pytest.approx(100 / 110)
    assert told.budget_left == pytest.approx(1 - (10 / 110) / 0.05)
    assert told.burn == pytest.approx(20.0), "all ten of the last minutes were bad: twenty times what is allowed"


def test_refused_requests_count_against_availability() -> None:
    metrics = Metrics()
    metrics.add(request_success_total=90)
    metrics.values["trident_admission_refused_total"] = 10
    told = slo.status(Slo("availability", 0.999), Counts(Reading(metrics.text, 0)), None)
    assert told.share == 0.9
    assert told.burn is None


def test_few_requests_say_nothing() -> None:
    metrics = Metrics()
    metrics.observe("time_to_first_token_seconds", 3.0, 3)
    told = slo.status(Slo("ttft", 0.95, 1.0), Counts(Reading(metrics.text, 0)), None)
    assert (told.share, told.budget_left) == (None, None)


def test_lookback_finds_what_was_a_window_ago_and_forgets_the_rest() -> None:
    kept = Lookback()
    for second in range(1000):
        kept.add(Counts(Reading(b"", float(second))))
    for seconds, at_s in ((10.0, 989.0), (60.0, 939.0), (300.0, 690.0)):
        found = kept.ago(seconds)
        assert found is not None
        assert abs(found.at_s - at_s) <= 10 if seconds > 60 else found.at_s == at_s
    assert len(kept._fine) <= 63
    assert len(kept._coarse) <= 32


def test_lookback_of_one_reading_is_none() -> None:
    kept = Lookback()
    kept.add(Counts(Reading(b"", 0.0)))
    assert kept.ago(10.0) is None


def test_what_others_use_of_the_machine_is_what_is_not_ours() -> None:
    def page(seconds: float) -> bytes:
        lines = [
            f'trident_host_cpu_seconds_total{{mode="user"}} {1.8 * seconds}',
            f'trident_host_cpu_seconds_total{{mode="idle"}} {0.2 * seconds}',
            f'trident_process_cpu_seconds_total{{child="engine core"}} {1.0 * seconds}',
            f'trident_process_cpu_seconds_total{{child="tritonserver"}} {0.2 * seconds}',
        ]
        return ("\n".join(lines) + "\n").encode()

    before, now = Reading(page(100.0), 100.0), Reading(page(110.0), 110.0)
    found = numbers.of(now, Counts(now), Counts(before), None, 0.0)
    assert (found.engine_cpu_cores, found.doors_cpu_cores) == (1.0, 0.2)
    assert found.host_cpu_share == 0.9
    assert found.others_cpu_share == pytest.approx(0.3)
