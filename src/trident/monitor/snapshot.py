"""What the page and ``trident top`` are given at each reading."""

from __future__ import annotations

import msgspec

from trident.monitor.hints import Hint
from trident.monitor.numbers import Numbers
from trident.monitor.reading import Reading
from trident.monitor.server_view import Child
from trident.monitor.slo import SloStatus
from trident.protocol.in_flight import Told

TOTALS = (
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "trident_admission_queued_requests",
    "vllm:request_success_total",
    "vllm:generation_tokens_total",
    "vllm:prompt_tokens_total",
    "vllm:prefix_cache_queries_total",
    "vllm:prefix_cache_hits_total",
    "vllm:num_preemptions_total",
    "trident_admission_refused_total",
    "trident_child_restarts_total",
)
"""Families that are shown as they are on ``/metrics``, summed over their labels."""


class Gpu(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One GPU, as far as NVML tells."""

    index: str
    name: str
    share: float | None = None
    memory_used_bytes: float | None = None
    memory_total_bytes: float | None = None
    watts: float | None = None
    watts_limit: float | None = None
    celsius: float | None = None
    clock_hertz: float | None = None
    throttled: list[str] = []


class Snapshot(msgspec.Struct, kw_only=True):
    """``server`` is another text when what changes seldom has changed. ``totals`` are by family."""

    number: int
    phase: str
    server: str
    numbers: Numbers
    totals: dict[str, float]
    slos: list[SloStatus]
    hints: list[Hint]
    children: list[Child]
    gpus: list[Gpu]
    requests: Told


def totals(reading: Reading) -> dict[str, float]:
    """Those of ``TOTALS`` that are there."""
    sums = {name: reading.sum(name) for name in TOTALS}
    return {name: value for name, value in sums.items() if value is not None}


def gpus(reading: Reading) -> list[Gpu]:
    """Empty without a GPU."""
    found = []
    for one in reading.samples("trident_gpu_memory_total_bytes"):
        gpu = one.labels.get("gpu", "")

        def value(what: str, gpu: str = gpu, **labels: str) -> float | None:
            return reading.sum(f"trident_gpu_{what}", gpu=gpu, **labels)

        found.append(
            Gpu(
                index=gpu,
                name=one.labels.get("name", ""),
                share=value("utilization_ratio"),
                memory_used_bytes=value("memory_used_bytes"),
                memory_total_bytes=one.value,
                watts=value("power_watts"),
                watts_limit=value("power_limit_watts"),
                celsius=value("temperature_celsius"),
                clock_hertz=value("clock_hertz", clock="sm"),
                throttled=[
                    s.labels.get("reason", "") for s in reading.samples("trident_gpu_throttled", gpu=gpu) if s.value
                ],
            )
        )
    return found
