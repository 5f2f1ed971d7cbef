"""Output token throughput: tokens that arrived in the window / its length, in tokens/s.

A request's tokens are spread evenly over its events, since a server may join several in one. Source of the whole-run
form: vLLM 0.32 ``benchmarks/serve.py``, ``sum(actual_output_lens) / dur_s``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trident.bench import statistics
from trident.bench.result import Rate


def output_token_throughput(
    arrival_ns: NDArray[np.int64], tokens: NDArray[np.float64], start_ns: int, end_ns: int
) -> Rate:
    """``tokens`` are those of each event in ``arrival_ns``, of the warm-up too."""
    amounts = statistics.slices(arrival_ns, tokens, start_ns, end_ns)
    return statistics.rate(amounts, (end_ns - start_ns) / 1e9, "tokens/s")
