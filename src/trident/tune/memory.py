"""What cannot fit into memory is not started: weights, the KV cache of one longest request, and one step's activations.

All are lower bounds. What they rule out cannot serve; what they let through may still fail, which costs one trial.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

WEIGHTS = ("*.safetensors", "*.bin", "*.gguf", "*.pt")
ACTIVATION_COPIES = 4
"""Of a step's hidden states that are alive at once: residual, attention's or MLP's input, its wider inside, output."""
KV_BYTES = {"fp8": 1.0, "fp8_e4m3": 1.0, "fp8_e5m2": 1.0, "float16": 2.0, "bfloat16": 2.0}
DEFAULT_LENGTH_TOKENS = 2048
GIBIBYTE = 2**30
FLOAT32 = ("float32", "float")


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of a model, zero where its ``config.json`` does not say them."""

    weights_bytes: int
    layers: int = 0
    kv_heads: int = 0
    head_size: int = 0
    hidden_size: int = 0
    longest_tokens: int = 0
    vocabulary: int = 0
    bytes_per_weight: float = 2.0

    @property
    def kv_bytes_per_token(self) -> int:
        """In two bytes a number: both a key and a value in each layer."""
        return 2 * 2 * self.layers * self.kv_heads * self.head_size


def read(folder: Path) -> Model:
    """Of a model's folder. What is not there, or is written in another way, is zero and rules out nothing."""
    weights_bytes = sum(file.stat().st_size for pattern in WEIGHTS for file in folder.glob(pattern))
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Model(weights_bytes=weights_bytes)
    config = config.get("text_config") or config
    heads = _whole(config, "num_attention_heads")
    hidden = _whole(config, "hidden_size")
    return Model(
        weights_bytes=weights_bytes,
        layers=_whole(config, "num_hidden_layers"),
        kv_heads=_whole(config, "num_key_value_heads") or heads,
        head_size=_whole(config, "head_dim") or (hidden // heads if heads else 0),
        hidden_size=hidden,
        longest_tokens=_whole(config, "max_position_embeddings"),
        vocabulary=_whole(config, "vocab_size"),
        bytes_per_weight=4.0 if (config.get("dtype") or config.get("torch_dtype")) == "float32" else 2.0,
    )


def lacking(model: Model, engine: Mapping[str, Any], memory_bytes: int, *, replicas_share: bool = True) -> str | None:
    """Why these engine arguments cannot fit into ``memory_bytes`` (of the machine, which replicas share, or of all GPUs
    that share one replica), None where they may."""
    is_float32 = engine.get("dtype") in FLOAT32
    weights = model.weights_bytes * (0.5 if engine.get("quantization") == "fp8" else 1.0)
    weights *= 4.0 / model.bytes_per_weight if is_float32 else 1.0
    length = int(engine.get("max_model_len") or 0)
    length = length if length > 0 else model.longest_tokens or DEFAULT_LENGTH_TOKENS
    number_bytes = KV_BYTES.get(str(engine.get("kv_cache_dtype")), 4.0 if is_float32 else 2.0)
    kv = length * model.kv_bytes_per_token * number_bytes / 2
    step = int(engine.get("max_num_batched_tokens") or 0)
    # Logits are made for the last token of each sequence only, in 4 bytes.
    sequences = min(int(engine.get("max_num_seqs") or 1), step or 10**9)
    activations = step * model.hidden_size * 2 * ACTIVATION_COPIES + sequences * model.vocabulary * 4
    copies = int(engine.get("data_parallel_size") or 1) if replicas_share else 1
    wanted = copies * (weights + kv + activations)
    if wanted <= memory_bytes:
        return None
    parts = ", ".join(f"{name} {_gib(copies * size)}" for name, size in
                      (("weights", weights), ("KV cache of one longest request", kv),
                       ("activations", activations)))  # fmt: skip
    return f"needs at least {_gib(wanted)} ({parts}), there are {_gib(memory_bytes)}"


def _whole(config: Mapping[str, Any], name: str) -> int:
    value = config.get(name)
    return value if isinstance(value, int) and value > 0 else 0


def _gib(size_bytes: float) -> str:
    return f"{size_bytes / GIBIBYTE:.2f} GiB"
