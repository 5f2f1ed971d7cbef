"""How much memory a model will need, from its configuration and the first bytes of its weights: nothing is loaded.

An estimate from below: weights as they lie in memory, the KV cache of the longest sequence, and what the processes
take.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trident.models.folder import NO_WEIGHTS
from trident.supervisor.room import weights_bytes

LARGEST_HEADER_BYTES = 100_000_000
CPU_PROCESSES_BYTES = 2 << 30
"""Measured with the demo model, whose weights do not count: engine host, engine, OpenAI server, tritonserver, stubs."""
GPU_WORKING_BYTES = 3 << 29
"""Activations, CUDA graphs and the CUDA context of a small model; larger ones take more."""


@dataclass(frozen=True)
class Need:
    """``kv_token_bytes`` is None where the configuration does not tell."""

    weights_bytes: int
    kv_token_bytes: int | None
    longest_tokens: int | None

    @property
    def kv_bytes(self) -> int:
        """The KV cache of one longest sequence."""
        return (self.kv_token_bytes or 0) * (self.longest_tokens or 0)


def need(folder: Path, engine: Mapping[str, Any] | None = None) -> Need:
    """Of the model in ``folder``, which has been checked, under these engine arguments of vLLM. Raises OSError,
    ValueError.

    Quantised weights lie in memory as they lie in the file, float32 ones in 16 bits unless dtype says otherwise, and
    those that vLLM is to quantise itself (``quantization = "fp8"`` for a model that is not) smaller than in the file.
    """
    engine = engine or {}
    config = json.loads((folder / "config.json").read_bytes())
    text = config.get("text_config") if isinstance(config.get("text_config"), dict) else config
    limits = [
        tokens for tokens in (_number(engine, "max_model_len"), _number(text, "max_position_embeddings")) if tokens
    ]
    keeps_float32 = str(engine.get("dtype", "auto")) in ("float32", "float")
    is_quantised = bool(config.get("quantization_config") or config.get("compression_config"))
    share = 1.0 if is_quantised else online_share(str(engine.get("quantization") or ""))
    kv_value_bytes = _kv_value_bytes(str(engine.get("kv_cache_dtype", "auto")), 4 if keeps_float32 else 2)
    return Need(
        weights_bytes=_weights(folder, keeps_float32 or is_quantised, share),
        kv_token_bytes=_kv_token_bytes(text, kv_value_bytes),
        longest_tokens=min(limits, default=None),
    )


def online_share(quantization: str) -> float:
    """What vLLM leaves of 16 bits when it quantises weights itself, as ``quantization`` asks for."""
    if quantization.startswith(("fp8", "mxfp8", "int8")):
        return 1 / 2
    if quantization.startswith(("mxfp4", "nvfp4")):
        return 9 / 32  # four bits and an eighth of them for scales
    return 1.0


def _number(config: Mapping[str, Any], name: str) -> int | None:
    value = config.get(name)
    if isinstance(value, str) and value.isdigit():  # of a variable
        value = int(value)
    return value if isinstance(value, int) and value > 0 else None


def _kv_value_bytes(dtype: str, otherwise_bytes: float) -> float:
    if dtype.startswith(("fp8", "int8")):
        return 1
    return 1 / 2 if re.search(r"int4|nvfp4|[34]bit", dtype) else otherwise_bytes


def _kv_token_bytes(config: Mapping[str, Any], value_bytes: float) -> int | None:
    layers, heads = _number(config, "num_hidden_layers"), _number(config, "num_attention_heads")
    width = _number(config, "hidden_size")
    if not (layers and heads and width):
        return None
    head_dim = _number(config, "head_dim") or width // heads
    kv_heads = _number(config, "num_key_value_heads") or heads
    return int(2 * layers * kv_heads * head_dim * value_bytes)


def _weights(folder: Path, keeps_float32: bool, share: float) -> int:
    files = [file for file in folder.glob("*.safetensors") if not NO_WEIGHTS.fullmatch(file.name)]
    own = [file for file in files if not file.name.startswith("consolidated")] or files
    if not own:
        return weights_bytes(folder)
    return sum(_tensors(file, keeps_float32, share) for file in own)


def _tensors(file: Path, keeps_float32: bool, share: float) -> int:
    with file.open("rb") as opened:
        header_bytes = int.from_bytes(opened.read(8), "little")
        if header_bytes > LARGEST_HEADER_BYTES:
            raise ValueError(f"{file.name} has no safetensors header")
        header = json.loads(opened.read(header_bytes))
    total_bytes = 0.0
    for name, tensor in header.items():
        if name != "__metadata__":
            start, end = tensor["data_offsets"]
            halved = tensor["dtype"] == "F32" and not keeps_float32
            is_linear = len(tensor["shape"]) > 1 and not re.search(r"embed|lm_head|norm|conv", name)
            total_bytes += (end - start) / (2 if halved else 1) * (share if is_linear else 1)
    return int(total_bytes)
