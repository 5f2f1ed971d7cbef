"""A model that sees, made in an instant: LLaVA's shape with random eyes and the demo as its language model."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from tensor_file import load, save

DEMO = Path(__file__).parents[2] / "src" / "trident" / "models" / "demo"
PLACEHOLDER, PLACEHOLDER_ID = "<image>", 2030
"""The first id that the demo's vocabulary leaves free."""
HIDDEN, INNER, PATCH, SIDE, LAYERS, TEXT_HIDDEN = 64, 128, 14, 28, 2, 192
CHAT_TEMPLATE = """\
{%- for message in messages %}{% for part in message.content -%}
{{ "<image>" if part.type == "image" else part.text }}
{%- endfor %}{% endfor -%}"""
IMAGE_TOKENS = (SIDE // PATCH) ** 2


def write(folder: Path) -> Path:
    """The whole folder, as a hub would have it."""
    folder.mkdir(parents=True)
    save(folder / "model.safetensors", {**_eyes(), **_language_model()})
    for name, content in _configurations().items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    tokenizer = json.loads((DEMO / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["added_tokens"].append({**tokenizer["added_tokens"][0], "id": PLACEHOLDER_ID, "content": PLACEHOLDER})
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    return folder


def png(color: tuple[int, int, int], side: int = SIDE) -> bytes:
    """A square of one color."""
    row = b"\0" + bytes(color) * side
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, data)
        for kind, data in (
            (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
            (b"IDAT", zlib.compress(row * side)),
            (b"IEND", b""),
        )
    )


def bomb(side: int) -> bytes:
    """Says that it is large, and has nothing in it."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", b"") + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _language_model() -> dict[str, Any]:
    # The demo's output layer is its embedding; LLaVA's tied weights go by this name.
    return {
        f"model.language_model.{name.removeprefix('model.')}": tensor
        for name, tensor in load(DEMO / "model.safetensors").items()
    }


def _eyes() -> dict[str, Any]:
    generator = np.random.default_rng(1)

    def matrix(*shape: int) -> Any:
        return generator.normal(0, shape[-1] ** -0.5, shape)

    tower = "model.vision_tower.vision_model"
    made: dict[str, Any] = {
        f"{tower}.embeddings.class_embedding": matrix(HIDDEN),
        f"{tower}.embeddings.patch_embedding.weight": generator.normal(0, 0.04, (HIDDEN, 3, PATCH, PATCH)),
        f"{tower}.embeddings.position_embedding.weight": matrix(IMAGE_TOKENS + 1, HIDDEN),
    }

    def linear(name: str, outputs: int, inputs: int) -> None:
        made[f"{name}.weight"], made[f"{name}.bias"] = matrix(outputs, inputs), np.zeros(outputs)

    def norm(name: str) -> None:
        made[f"{name}.weight"], made[f"{name}.bias"] = np.ones(HIDDEN), np.zeros(HIDDEN)

    norm(f"{tower}.pre_layrnorm")  # spelt so in CLIP
    norm(f"{tower}.post_layernorm")
    for layer in range(LAYERS):
        name = f"{tower}.encoder.layers.{layer}"
        for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
            linear(f"{name}.self_attn.{projection}", HIDDEN, HIDDEN)
        linear(f"{name}.mlp.fc1", INNER, HIDDEN)
        linear(f"{name}.mlp.fc2", HIDDEN, INNER)
        norm(f"{name}.layer_norm1")
        norm(f"{name}.layer_norm2")
    linear("model.multi_modal_projector.linear_1", TEXT_HIDDEN, HIDDEN)
    linear("model.multi_modal_projector.linear_2", TEXT_HIDDEN, TEXT_HIDDEN)
    return made


def _configurations() -> dict[str, Any]:
    text = json.loads((DEMO / "config.json").read_text(encoding="utf-8"))
    tokenizer = json.loads((DEMO / "tokenizer_config.json").read_text(encoding="utf-8"))
    tokenizer |= {"chat_template": CHAT_TEMPLATE, "processor_class": "LlavaProcessor"}
    image = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": SIDE}, "crop_size": SIDE}
    return {
        "config.json": {
            "architectures": ["LlavaForConditionalGeneration"],
            "model_type": "llava",
            "dtype": "bfloat16",
            "image_token_index": PLACEHOLDER_ID,
            "image_seq_length": IMAGE_TOKENS,
            "tie_word_embeddings": True,
            "text_config": text,
            "vision_feature_layer": -1,
            "vision_config": {
                "model_type": "clip_vision_model",
                "hidden_size": HIDDEN,
                "intermediate_size": INNER,
                "num_hidden_layers": LAYERS,
                "num_attention_heads": 1,
                "image_size": SIDE,
                "patch_size": PATCH,
                "projection_dim": HIDDEN,
            },
        },
        "generation_config.json": json.loads((DEMO / "generation_config.json").read_text(encoding="utf-8")),
        "tokenizer_config.json": tokenizer,
        "preprocessor_config.json": image,
        "processor_config.json": {
            "processor_class": "LlavaProcessor",
            "patch_size": PATCH,
            "vision_feature_select_strategy": "default",
            "num_additional_image_tokens": 1,
            "image_token": PLACEHOLDER,
            "image_processor": image,
        },
    }
