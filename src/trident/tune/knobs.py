"""The curated prior: which arguments of vLLM, and which settings of Trident, are worth a restart, and at which values.

Whether the installed vLLM has an argument, and takes these values, is not known here: ``space`` asks its own list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Build = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Knob:
    """One thing to vary. ``section`` is its table in ``trident.toml``; None of ``values`` is what vLLM would take by
    itself. ``builds``: where it does anything. ``needs``: a program. ``doubt``: what a user may lose by it, though the
    score is better."""

    name: str
    values: tuple[Any, ...]
    why: str
    section: str = "engine"
    builds: tuple[Build, ...] = ("cpu", "cuda")
    changes_numerics: bool = False
    needs: str | None = None
    doubt: str = ""


_NGRAM = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 4}

KNOBS = (
    Knob("max_num_seqs", (16, 32, 64, 128, 256, 512, 1024), "how many sequences share a step"),
    Knob("max_num_batched_tokens", (512, 1024, 2048, 4096, 8192, 16384), "how much prefill a step may hold"),
    Knob(
        "stream_interval", (2, 4, 8, 16), "how many tokens an event carries: less work for each token at the doors",
        doubt="text comes in larger pieces: TTFT and TPOT do not show it, ITL does",
    ),
    Knob("performance_mode", ("interactivity", "throughput"), "vLLM's own preset of kernels and sizes",
         builds=("cuda",)),
    Knob("async_scheduling", (False,), "whether the next step is planned while one runs"),
    Knob("enable_prefix_caching", (False,), "helps where prompts begin alike, costs a little where none do"),
    Knob("long_prefill_token_threshold", (256, 1024), "keeps long prompts from holding up the answers of others"),
    Knob("max_cudagraph_capture_size", (64, 256, 512), "up to which batch CUDA graphs are used", builds=("cuda",)),
    Knob("enforce_eager", (False,), "whether torch.compile pays on this machine", builds=("cpu",), needs="g++"),
    Knob("block_size", (32, 64, 128), "tokens of a block of the KV cache", builds=("cpu",)),
    Knob(
        "dtype", ("float32",), "CPUs without instructions for bfloat16 are faster with whole floats", builds=("cpu",),
        doubt="weights and KV cache take twice the memory; rounding is finer, so that answers may differ",
    ),
    Knob("kv_cache_dtype", ("fp8",), "half the KV cache for each token", builds=("cuda",), changes_numerics=True),
    Knob("quantization", ("fp8",), "half the weights to read", builds=("cuda",), changes_numerics=True),
    Knob(
        "speculative_config",
        (_NGRAM,),
        "guesses the next tokens from what is there already",
        doubt="how much faster it is depends on how much answers repeat: one load says "
        "nothing of another; answers with a seed become others",
    ),
    Knob("data_parallel_size", (2, 4, 8), "replicas of the engine behind the same doors"),
    Knob("openai_server", ("python",), "vLLM's OpenAI server in Python instead of the Rust one", section="runtime"),
    Knob("stubs", (1, 2, 4, 8), "Triton's processes for each contract", section="stubs"),
)  # fmt: skip

PRESETS: tuple[dict[str, Any], ...] = (
    {"dtype": "float32"},
    {"stream_interval": 8},
    {"speculative_config": _NGRAM},
    {"quantization": "fp8"},
    {"kv_cache_dtype": "fp8"},
    {"performance_mode": "throughput"},
    {"data_parallel_size": 2},
    {"max_num_seqs": 256},
    {"enable_prefix_caching": False},
    {"max_num_batched_tokens": 1024},
    {"async_scheduling": False},
    {"performance_mode": "interactivity"},
    {"enforce_eager": False},
)
"""Tried in this order, each on top of what is best by then, as far as the space has them. What makes starts long comes
last: with it every later trial might compile anew."""
