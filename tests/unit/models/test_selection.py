from __future__ import annotations

import pytest

from trident.models.selection import has_weights, needed_files

TEXT = ["config.json", "generation_config.json", "tokenizer.json", "merges.txt", "chat_template.jinja", "modeling.py"]


@pytest.mark.parametrize(
    ("names", "weights"),
    [
        (["model.safetensors", "pytorch_model.bin"], {"model.safetensors"}),
        (["pytorch_model.bin", "training_args.bin", "optimizer.bin"], {"pytorch_model.bin"}),
        (["consolidated.safetensors", "model-1.safetensors"], {"model-1.safetensors"}),
        (["consolidated.safetensors"], {"consolidated.safetensors"}),
        (["model.pth"], {"model.pth"}),
        (["model.gguf", "onnx/model.safetensors", "model.onnx", "a.msgpack", "tf_model.h5"], set()),
    ],
    ids=["safetensors", "bin", "mistral", "mistral-only", "pth", "none"],
)
def test_weights_of_one_format_are_taken(names: list[str], weights: set[str]) -> None:
    chosen = needed_files(dict.fromkeys([*names, *TEXT], 1))
    assert set(chosen) == weights | set(TEXT)
    assert has_weights(chosen) is bool(weights)


def test_what_is_beside_the_model_is_left() -> None:
    beside = [
        "README.md",
        ".gitattributes",
        "LICENSE",
        "original/params.json",
        "onnx/config.json",
        "trainer_state.json",
    ]
    assert needed_files(dict.fromkeys(beside, 1)) == {}


def test_sizes_are_kept() -> None:
    assert needed_files({"config.json": 7, "model.safetensors": 9}) == {"config.json": 7, "model.safetensors": 9}
