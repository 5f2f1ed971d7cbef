from __future__ import annotations

from typing import Any

import pytest

from trident.engine import graph_sizes

H100_BYTES, SMALL_BYTES = 80 << 30, 24 << 30


def test_large_gpu_gets_graphs_for_steps_that_begin_requests() -> None:
    sizes = graph_sizes.by_default({"max_num_seqs": 256}, H100_BYTES)["cudagraph_capture_sizes"]
    assert sizes == sorted(set(sizes)) and sizes[0] == 1 and sizes[-1] == 2048


@pytest.mark.parametrize(
    "chosen",
    [
        {"enforce_eager": True},
        {"cudagraph_capture_sizes": [1, 2]},
        {"max_cudagraph_capture_size": 64},
        {"compilation_config": {"mode": 3}},
        {"performance_mode": "throughput"},
        {"speculative_config": {"method": "ngram"}},
    ],
)
def test_what_the_user_says_of_graphs_stands(chosen: dict[str, Any]) -> None:
    assert graph_sizes.by_default(chosen, H100_BYTES) == {}


def test_small_gpu_keeps_vllms_own() -> None:
    assert graph_sizes.by_default({}, SMALL_BYTES) == {}
