"""Alerts: a GPU is broken or held back. Where there is no GPU none of them has anything to say."""

from __future__ import annotations

from trident.monitor.prometheus.rule import Alert

GPU = "GPU {{ $labels.gpu }} ({{ $labels.name }}, {{ $labels.uuid }})"

ALERTS: tuple[Alert, ...] = (
    Alert(
        "TridentGpuLost",
        "trident_gpu_up == 0",
        "page",
        f"{GPU} has fallen off the bus",
        "Restart the machine; see dmesg for the XID.",
        needs="gpu",
    ),
    Alert(
        "TridentGpuXid",
        "increase(trident_gpu_xid_errors_total[10m]) > 0",
        "page",
        f"{GPU} has reported a critical error",
        "Its number is trident_gpu_last_xid; NVIDIA's list of XIDs says whether program, driver or card is at fault.",
        needs="gpu",
    ),
    Alert(
        "TridentGpuMemoryErrors",
        "increase(trident_gpu_ecc_uncorrected_errors_total[1h]) > 0",
        "page",
        f"{GPU} has had errors of its memory that could not be corrected",
        "Answers may be wrong: drain the server, reset the GPU, and have it replaced if it comes again.",
        needs="gpu",
    ),
    Alert(
        "TridentGpuThrottled",
        'max by (gpu, name, uuid) (trident_gpu_throttled{reason=~"hw_.*|sw_thermal_slowdown"}) == 1',
        "ticket",
        f"{GPU} runs slower than it could: too hot, or the power supply holds it back",
        "See the reason in trident_gpu_throttled, then airflow and power. Its power limit alone is no reason for this.",
        for_s=120,
        needs="gpu",
    ),
)
