"""Whether the client was the bottleneck: the verdict that each point carries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trident.bench import statistics
from trident.bench.result import ClientHealth, Distribution, WorkerHealth

LEAST_LAG_LIMIT_MS = 1.0
LAG_SHARE_OF_TTFT = 0.05
BUSY_CPU_SHARE = 0.9


def judge(
    ttft: Distribution,
    *,
    send_lag_ms: statistics.Samples,
    loop_lag_ms: statistics.Samples,
    coalesced_share: float,
    cpu_us_per_token: float | None,
    workers: Sequence[WorkerHealth],
) -> ClientHealth:
    """A client is the bottleneck when the p99 of a lag exceeds 1 ms and 5 % of the TTFT's median, or a worker used
    more than 90 % of a core: beyond that, what it measures is itself.
    """
    limit_ms = max(LEAST_LAG_LIMIT_MS, LAG_SHARE_OF_TTFT * (ttft.p50.value if ttft.p50 else 0.0))
    lags = {"sending": send_lag_ms, "the loop": loop_lag_ms}
    reasons = []
    for name, samples in lags.items():
        p99_ms = float(np.percentile(samples, 99)) if len(samples) else 0.0
        if p99_ms > limit_ms:
            reasons.append(f"lag of {name}: p99 {p99_ms:.2f} ms, allowed are {limit_ms:.2f} ms")
    for worker in workers:
        if worker.cpu_share > BUSY_CPU_SHARE:
            reasons.append(f"client process {worker.pid} used {worker.cpu_share:.0%} of a core, allowed are 90%")
    return ClientHealth(
        client_bound=bool(reasons),
        reasons=reasons,
        lag_limit_ms=limit_ms,
        send_lag=statistics.distribution(send_lag_ms, "ms"),
        loop_lag=statistics.distribution(loop_lag_ms, "ms"),
        coalesced_share=coalesced_share,
        cpu_us_per_token=cpu_us_per_token,
        workers=list(workers),
    )
