from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trident.doctor.model_memory import need

LINEAR, EMBEDDING, NORM = 1_000_000, 400_000, 1_000
"""Values of each of the three tensors."""
CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_size": 64,
    "head_dim": 16,
    "max_position_embeddings": 1000,
}
KV_VALUES = 2 * 2 * 2 * 16


def model(folder: Path, dtype: str, value_bytes: float, others_bytes: float | None = None, **config: Any) -> Path:
    """Weights of holes: their header is all that is read."""
    sizes = {
        "model.layers.0.mlp.up_proj.weight": int(LINEAR * value_bytes),
        "model.embed_tokens.weight": int(EMBEDDING * (others_bytes or value_bytes)),
        "model.norm.weight": int(NORM * (others_bytes or value_bytes)),
    }
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, size_bytes in sizes.items():
        shape = [1000] if name.endswith("norm.weight") else [1000, 10]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size_bytes]}
        end += size_bytes
    head = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        file.truncate(8 + len(head) + end)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}))
    return folder


@pytest.mark.parametrize(
    ("dtype", "value_bytes", "engine", "wanted_bytes"),
    [
        ("BF16", 2, {}, 2_802_000),
        ("F32", 4, {}, 2_802_000),
        ("F32", 4, {"dtype": "float32"}, 5_604_000),
        ("BF16", 2, {"quantization": "fp8"}, 1_000_000 + 802_000),
        ("BF16", 2, {"quantization": "int8_per_channel_weight_only"}, 1_000_000 + 802_000),
        ("BF16", 2, {"quantization": "nvfp4_per_token"}, 562_500 + 802_000),
    ],
)
def test_weights_as_they_lie_in_memory(
    tmp_path: Path, dtype: str, value_bytes: int, engine: dict[str, Any], wanted_bytes: int
) -> None:
    assert need(model(tmp_path, dtype, value_bytes), engine).weights_bytes == wanted_bytes


@pytest.mark.parametrize("method", ["awq", "gptq", "compressed-tensors"])
def test_quantised_weights_count_as_they_are(tmp_path: Path, method: str) -> None:
    folder = model(tmp_path, "I32", 0.5, 2, quantization_config={"quant_method": method})
    assert need(folder, {"quantization": "fp8"}).weights_bytes == 500_000 + 802_000


@pytest.mark.parametrize(
    ("engine", "token_bytes", "tokens"),
    [
        ({}, KV_VALUES * 2, 1000),
        ({"max_model_len": "500"}, KV_VALUES * 2, 500),
        ({"max_model_len": -1}, KV_VALUES * 2, 1000),
        ({"kv_cache_dtype": "fp8"}, KV_VALUES, 1000),
        ({"kv_cache_dtype": "nvfp4"}, KV_VALUES // 2, 1000),
        ({"dtype": "float32"}, KV_VALUES * 4, 1000),
    ],
)
def test_kv_cache_of_the_longest_sequence(
    tmp_path: Path, engine: dict[str, Any], token_bytes: int, tokens: int
) -> None:
    found = need(model(tmp_path, "BF16", 2), engine)
    assert (found.kv_token_bytes, found.longest_tokens) == (token_bytes, tokens)
    assert found.kv_bytes == token_bytes * tokens
