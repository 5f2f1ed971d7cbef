"""One metric, one file: formula, unit, source."""

from __future__ import annotations

from trident.bench.metrics.e2e import e2e_ms
from trident.bench.metrics.e2e_from_schedule import e2e_from_schedule_ms
from trident.bench.metrics.goodput import goodput, goodput_share, is_good
from trident.bench.metrics.itl import itl_ms
from trident.bench.metrics.output_token_throughput import output_token_throughput
from trident.bench.metrics.request_throughput import request_throughput
from trident.bench.metrics.total_token_throughput import total_token_throughput
from trident.bench.metrics.tpot import tpot_ms
from trident.bench.metrics.ttft import ttft_ms

OF_A_REQUEST = {"ttft": ttft_ms, "tpot": tpot_ms, "e2e": e2e_ms, "e2e_from_schedule": e2e_from_schedule_ms}
"""Those that a request has by itself, in ms; SLOs are stated on these."""

__all__ = [
    "OF_A_REQUEST",
    "e2e_from_schedule_ms",
    "e2e_ms",
    "goodput",
    "goodput_share",
    "is_good",
    "itl_ms",
    "output_token_throughput",
    "request_throughput",
    "total_token_throughput",
    "tpot_ms",
    "ttft_ms",
]
