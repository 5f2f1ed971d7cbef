"""Time per output token, the first excluded: ``(last event - first event) / (output tokens - 1)``, in ms.

One value for each request; None with one token or less. Source: vLLM 0.32 ``benchmarks/serve.py``,
``calculate_metrics``: ``(latency - ttft) / (output_len - 1)``.
"""

from __future__ import annotations

from trident.bench.result import RequestRow


def tpot_ms(row: RequestRow) -> float | None:
    """None where the answer is not streamed or has fewer than two tokens."""
    if row.first_ns is None or row.last_ns is None or row.output_tokens < 2:
        return None
    return (row.last_ns - row.first_ns) / 1e6 / (row.output_tokens - 1)
