"""End-to-end latency: ``last token event - sent``, in ms; for an answer in one piece its end.

Source: vLLM 0.32 ``benchmarks/lib/endpoint_request_func.py`` (``output.latency``, there called E2EL).
"""

from __future__ import annotations

from trident.bench.result import RequestRow


def e2e_ms(row: RequestRow) -> float | None:
    """None where nothing has come."""
    return None if row.last_ns is None else (row.last_ns - row.sent_ns) / 1e6
