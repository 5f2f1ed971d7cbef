"""Which steps of the engine a GPU runs as a CUDA graph.

vLLM's graphs end at 512 tokens, or at twice ``max_num_seqs``. A step that begins a request beside others that go on has
more, and is launched kernel by kernel, by the one thread that everything waits for. Where answers are of all lengths
that is every second step: graphs up to 2,048 tokens made them faster by a third and more, at the cost of 0.4 GiB and
two seconds (docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LEAST_MEMORY_BYTES = 40 << 30
"""Of a GPU: on a smaller one what the graphs take might be missing."""
SIZES = (1, 2, 4, *range(8, 256, 8), *range(256, 512, 16), *range(512, 1024, 64), *range(1024, 2049, 128))
"""Tokens: vLLM's own up to 512, then coarser, as a step is padded to the next."""
DECIDES_ITSELF = (
    "cudagraph_capture_sizes",
    "max_cudagraph_capture_size",
    "compilation_config",
    "performance_mode",
    "speculative_config",
)
"""Engine arguments from which vLLM derives other graphs."""


def by_default(chosen: Mapping[str, Any], gpu_memory_bytes: int) -> dict[str, Any]:
    """Engine arguments to add to those that the user has chosen; none where the user or the GPU speaks against it."""
    if chosen.get("enforce_eager") or any(chosen.get(name) is not None for name in DECIDES_ITSELF):
        return {}
    if gpu_memory_bytes < LEAST_MEMORY_BYTES:
        return {}
    return {"cudagraph_capture_sizes": list(SIZES)}
