"""Request throughput: requests answered in the window / its length, in requests/s.

Source of the whole-run form: vLLM 0.32 ``benchmarks/serve.py``, ``completed / dur_s``, where the duration goes from
the first sending to the last end. The window is the steady state between.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trident.bench import statistics
from trident.bench.result import Rate


def request_throughput(ended_ns: NDArray[np.int64], start_ns: int, end_ns: int) -> Rate:
    """``ended_ns`` are the ends of all requests that were answered, of the warm-up too."""
    amounts = statistics.slices(ended_ns, np.ones(len(ended_ns)), start_ns, end_ns)
    return statistics.rate(amounts, (end_ns - start_ns) / 1e9, "requests/s")
