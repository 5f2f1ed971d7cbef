"""Every alert fires when it should and is silent when it should: each has a scene of both kinds here."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import healthy
import promtool
import pytest
from healthy import GPU, MODEL
from promtool import Scene

from trident.config.monitor import Monitor
from trident.monitor.prometheus import gpu_faults, liveness, saturation
from trident.monitor.prometheus.rules import alerts

DEGRADED = {
    'trident_server_phase{phase="ready"}': "1x20 0xN",
    'trident_server_phase{phase="degraded"}': "0x20 1xN",
}
STARTING = {
    'trident_server_phase{phase="ready"}': "0xN",
    'trident_server_phase{phase="starting"}': "1xN",
}
ENGINE_AWAY = {
    'trident_child_up{child="engine host"}': "1x20 0xN",
    f"vllm:num_requests_running{{{MODEL}}}": "8x20 stale",
}
STUCK = {
    f"vllm:generation_tokens_total{{{MODEL}}}": "0+150x20 3000xN",
    f'vllm:request_success_total{{{MODEL},finished_reason="stop"}}': "0+150x20 3000xN",
}
PREEMPTIONS = f"vllm:num_preemptions_total{{{MODEL}}}"


class Case(NamedTuple):
    """A scene in which the alert ``fires`` at a time, having been ``silent_at`` another; and one in which it never
    does. Steps are of 15 s; what changes does so after 20 of them, five minutes."""

    alert: str
    series: dict[str, str]
    fires_at: str
    silent_at: str
    never: dict[str, str]


CASES = [
    Case("TridentEngineDown", DEGRADED | ENGINE_AWAY, "5m30s", "4m", STARTING | ENGINE_AWAY),
    Case(
        "TridentChildDown",
        DEGRADED | {'trident_child_up{child="tritonserver"}': "1x20 0xN"},
        "5m30s",
        "5m15s",
        STARTING | {'trident_child_up{child="tritonserver"}': "0xN"},
    ),
    Case(
        "TridentOutage",
        DEGRADED,
        "8m30s",
        "7m",
        {
            'trident_server_phase{phase="ready"}': "1x20 0x8 1xN",
            'trident_server_phase{phase="degraded"}': "0x20 1x8 0xN",
        },
    ),
    Case(
        "TridentRestarted",
        {'trident_child_restarts_total{child="engine host"}': "0x20 1xN"},
        "6m",
        "4m",
        # A counter that begins anew with the server.
        {'trident_child_restarts_total{child="engine host"}': "3x20 0xN"},
    ),
    Case(
        "TridentCrashLoop",
        {'trident_child_crash_loop_restarts{child="engine host"}': "0x20 3xN"},
        "6m",
        "4m",
        {'trident_child_crash_loop_restarts{child="engine host"}': "0x20 2xN"},
    ),
    Case(
        "TridentStuckEngine",
        STUCK,
        "7m30s",
        "6m",
        STUCK | {f"vllm:num_requests_running{{{MODEL}}}": "8x20 0xN"},
    ),
    Case(
        "TridentEngineSilent",
        {f"vllm:num_requests_running{{{MODEL}}}": "8x20 stale"},
        "6m",
        "5m15s",
        DEGRADED | ENGINE_AWAY,
    ),
    Case(
        "TridentSourceDown",
        {'trident_monitor_source_up{source="server_page"}': "1x20 0xN"},
        "6m",
        "5m15s",
        STARTING | {'trident_monitor_source_up{source="server_page"}': "0xN"},
    ),
    Case(
        "TridentMonitorDown",
        {'up{job="trident",instance="127.0.0.1:8003"}': "1x20 0xN"},
        "6m",
        "5m15s",
        {'up{job="trident",instance="127.0.0.1:8003"}': "1x20 1xN"},
    ),
    Case(
        "TridentQueueing",
        {f"trident_admission_queued_requests{{{MODEL}}}": "0x20 3xN"},
        "10m30s",
        "9m",
        {f"trident_admission_queued_requests{{{MODEL}}}": "0x20 3x15 0 3x15 0 3xN"},
    ),
    Case(
        "TridentRefusals",
        {f'trident_admission_refused_total{{{MODEL},reason="wait"}}': "0x20 0+5xN"},
        "7m",
        "5m15s",
        # One burst.
        {f'trident_admission_refused_total{{{MODEL},reason="wait"}}': "0x20 5xN"},
    ),
    Case("TridentPreemptions", {PREEMPTIONS: "0x20 0+30xN"}, "14m", "6m", {PREEMPTIONS: "0x20 0+3xN"}),
    Case(
        "TridentKvCacheFull",
        {PREEMPTIONS: "0x20 0+3xN", f"vllm:kv_cache_usage_perc{{{MODEL}}}": "0.5x20 0.99xN"},
        "8m",
        "6m",
        # A full cache that serves all is well used.
        {f"vllm:kv_cache_usage_perc{{{MODEL}}}": "0.5x20 0.99xN"},
    ),
    Case(
        "TridentHostMemory",
        {"trident_host_memory_available_bytes": "32000000000x20 2000000000xN"},
        "6m30s",
        "5m30s",
        {"trident_host_memory_available_bytes": "32000000000x20 8000000000xN"},
    ),
    Case(
        "TridentDiskFull",
        {"trident_host_disk_free_bytes": "90000000000x20 900000000xN"},
        "6m30s",
        "5m30s",
        {"trident_host_disk_free_bytes": "90000000000x20 2000000000xN"},
    ),
    Case(
        "TridentSharedMemoryFull",
        {"trident_host_shm_free_bytes": "90000000000x20 9000000xN"},
        "6m30s",
        "5m30s",
        {"trident_host_shm_free_bytes": "90000000000x20 900000000xN"},
    ),
    Case("TridentGpuLost", {f"trident_gpu_up{{{GPU}}}": "1x20 0xN"}, "5m30s", "4m", {f"trident_gpu_up{{{GPU}}}": ""}),
    Case(
        "TridentGpuXid",
        {f"trident_gpu_xid_errors_total{{{GPU}}}": "0x20 1xN"},
        "6m",
        "4m",
        {f"trident_gpu_xid_errors_total{{{GPU}}}": "2xN"},
    ),
    Case(
        "TridentGpuMemoryErrors",
        {f"trident_gpu_ecc_uncorrected_errors_total{{{GPU}}}": "0x20 1xN"},
        "6m",
        "4m",
        # Of before, which the driver has kept.
        {f"trident_gpu_ecc_uncorrected_errors_total{{{GPU}}}": "2xN"},
    ),
    Case(
        "TridentGpuThrottled",
        {f'trident_gpu_throttled{{{GPU},reason="hw_thermal_slowdown"}}': "0x20 1xN"},
        "7m30s",
        "6m",
        {f'trident_gpu_throttled{{{GPU},reason="hw_thermal_slowdown"}}': "0x20 1x6 0xN"},
    ),
]
LIVENESS, SATURATION, GPU_FAULTS = ("trident-liveness",), ("trident-live", "trident-saturation"), ("trident-gpu",)
GROUPS = {
    alert.name: groups
    for source, groups in ((liveness, LIVENESS), (saturation, SATURATION), (gpu_faults, GPU_FAULTS))
    for alert in source.ALERTS
}
TIMES = ("1m", "5m", "6m", "8m", "10m", "12m", "14m", "15m")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_alert_fires_in_time_and_never_without_its_cause(case: Case, tmp_path: Path, rules: Path) -> None:
    base = healthy.series()
    fires = Scene(case.series).test(
        promtool.silent(case.alert, case.silent_at), promtool.firing(case.alert, case.fires_at), base=base
    )
    never = Scene(case.never).test(*(promtool.silent(case.alert, time) for time in TIMES), base=base)

    promtool.check(tmp_path, rules, [fires, never], "15s", GROUPS[case.alert])


def test_every_alert_has_a_case() -> None:
    assert {case.alert for case in CASES} == set(GROUPS)


def test_nothing_fires_on_a_healthy_server(tmp_path: Path, rules: Path) -> None:
    scene = Scene({}).test(*(promtool.silent(".+", time) for time in TIMES), base=healthy.series())

    promtool.check(tmp_path, rules, [scene])


def test_nothing_but_the_missing_monitor_is_said_without_any_series(tmp_path: Path, rules: Path) -> None:
    scene = Scene({"something_else": "1xN"}).test(
        promtool.firing("TridentMonitorDown", "5m"), promtool.firing(".+", "5m"), base={}
    )

    promtool.check(tmp_path, rules, [scene])


def test_every_alert_says_what_happens_and_what_to_do() -> None:
    for alert in alerts(Monitor()):
        assert alert.summary, alert.name
        assert len(alert.next_step) > 20, alert.name
