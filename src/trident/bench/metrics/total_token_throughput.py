"""Total token throughput: output tokens that arrived in the window, and the prompt tokens of the requests whose first
event did, / its length, in tokens/s.

Source of the whole-run form: vLLM 0.32 ``benchmarks/serve.py``, ``(total_input + sum(actual_output_lens)) / dur_s``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trident.bench import statistics
from trident.bench.result import Rate


def total_token_throughput(
    arrival_ns: NDArray[np.int64],
    tokens: NDArray[np.float64],
    prompt_ns: NDArray[np.int64],
    prompt_tokens: NDArray[np.float64],
    start_ns: int,
    end_ns: int,
) -> Rate:
    """``prompt_ns`` is when each prompt had been worked through: its request's first event."""
    amounts = statistics.slices(arrival_ns, tokens, start_ns, end_ns)
    amounts = amounts + statistics.slices(prompt_ns, prompt_tokens, start_ns, end_ns)
    return statistics.rate(amounts, (end_ns - start_ns) / 1e9, "tokens/s")
