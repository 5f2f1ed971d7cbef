"""The sampling parameters of Triton's vLLM backend, and its inputs that ask for token counts."""

from __future__ import annotations

import msgspec

from trident.bench.exchange import Ask
from trident.bench.plan import Workload

COUNT_INPUTS = ("return_num_input_tokens", "return_num_output_tokens")


def sampling_parameters(ask: Ask, workload: Workload) -> str:
    """JSON, as its tensor of that name wants it."""
    parameters = {"max_tokens": ask.max_tokens, "temperature": workload.temperature}
    if workload.ignore_eos:
        parameters["ignore_eos"] = True
    return msgspec.json.encode(parameters).decode()
