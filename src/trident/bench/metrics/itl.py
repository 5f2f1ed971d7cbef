"""Inter-token latency: every gap between two token events of one request, pooled over requests, in ms.

An event may carry several tokens, so this is the gap that a reader of the stream sees, not the time a token takes:
that is TPOT. Source: vLLM 0.32 ``benchmarks/lib/endpoint_request_func.py`` (``output.itl``), pooled in
``calculate_metrics``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def itl_ms(arrivals: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """From the arrivals of each streamed request, in ns."""
    gaps = [np.diff(one) for one in arrivals if len(one) > 1]
    return np.concatenate(gaps) / 1e6 if gaps else np.zeros(0)
