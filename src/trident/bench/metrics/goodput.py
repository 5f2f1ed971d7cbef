"""Goodput: requests answered in the window that meet every SLO / its length, in requests/s; and their share of all.

The TPOT of a single token counts as zero, as in vLLM. The TTFT of an answer in one piece is its end. A failed request
is not good. Source: vLLM 0.32 ``benchmarks/serve.py`` (``--goodput``), after DistServe (Zhong et al. 2024).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trident.bench import statistics
from trident.bench.plan import Slo
from trident.bench.result import Rate, RequestRow


def is_good(row: RequestRow, slos: Sequence[Slo]) -> bool:
    """Whether an answered request meets all of ``slos``."""
    values = {
        "ttft": row.e2e_ms if row.ttft_ms is None else row.ttft_ms,
        "tpot": row.tpot_ms,
        "e2e": row.e2e_ms,
        "e2e_from_schedule": row.e2e_from_schedule_ms,
    }
    return row.status == "ok" and all((values[slo.metric] or 0.0) <= slo.limit_ms for slo in slos)


def goodput(ended_ns: NDArray[np.int64], start_ns: int, end_ns: int) -> Rate:
    """``ended_ns`` are the ends of all good requests, of the warm-up too."""
    amounts = statistics.slices(ended_ns, np.ones(len(ended_ns)), start_ns, end_ns)
    return statistics.rate(amounts, (end_ns - start_ns) / 1e9, "requests/s")


def goodput_share(good: int, ended: int) -> Rate:
    """Of the measured requests that were answered or failed."""
    return statistics.share(good, ended)
