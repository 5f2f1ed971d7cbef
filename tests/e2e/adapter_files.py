"""LoRA adapters made in an instant: random matrices for the demo model, in PEFT's files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from tensor_file import save

HIDDEN, QUERY, INNER, LAYERS = 192, 256, 512, 4
"""The demo model's sizes."""


def write(
    folder: Path,
    *,
    seed: int = 1,
    rank: int = 8,
    layers: int = LAYERS,
    hidden: int = HIDDEN,
    module: str = "mlp.down_proj",
    **config: Any,
) -> Path:
    """An adapter strong enough to change the demo's greedy answers; ``config`` overrides what PEFT would write."""
    generator = np.random.default_rng(seed)
    shapes = {"self_attn.q_proj": (hidden, QUERY), module: (INNER, hidden)}
    matrices: dict[str, np.ndarray[Any, Any]] = {}
    for layer in range(layers):
        for module, (inputs, outputs) in shapes.items():
            name = f"base_model.model.model.layers.{layer}.{module}"
            matrices[f"{name}.lora_A.weight"] = generator.normal(0, 0.2, (rank, inputs)).astype(np.float32)
            matrices[f"{name}.lora_B.weight"] = generator.normal(0, 0.2, (outputs, rank)).astype(np.float32)
    folder.mkdir(parents=True)
    save(folder / "adapter_model.safetensors", matrices)
    written = {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": rank,
        "target_modules": ["q_proj", "down_proj"],
        "base_model_name_or_path": "demo",
        **config,
    }
    (folder / "adapter_config.json").write_text(json.dumps(written), encoding="utf-8")
    return folder
