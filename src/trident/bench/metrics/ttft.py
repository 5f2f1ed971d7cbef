"""Time to first token: ``first token event - sent``, in ms.

The first event that has ``choices``, whether or not there is text in it (a chat stream begins with the role). None for
an answer in one piece. Source: vLLM 0.32 ``benchmarks/lib/endpoint_request_func.py``.
"""

from __future__ import annotations

from trident.bench.result import RequestRow


def ttft_ms(row: RequestRow) -> float | None:
    """None where the answer is not streamed."""
    return None if row.first_ns is None else (row.first_ns - row.sent_ns) / 1e6
