from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trident.config.engine_arguments import EngineArguments
from trident.errors import ConfigurationError, ModelUnusable
from trident.triton import vllm_model
from trident.triton.vllm_model import VllmModel

TYPES = {
    "model": "str",
    "tokenizer": "str | None",
    "max_model_len": "int",
    "enable_lora": "bool",
    "tensor_parallel_size": "int",
    "gpu_memory_utilization": "float",
}
DUMP = {
    "engine": {name: {"type": kind, "default": None, "choices": None} for name, kind in TYPES.items()},
    "openai": {"chat_template": {"type": "str | None", "default": None, "choices": None}},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model's folder; the server runs somewhere else."""
    home = tmp_path / "repository" / "llama"
    (home / "1").mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return home


def read(
    folder: Path, given: Any, device: int | None = None, loras: dict[str, Any] | None = None, **parameters: str
) -> VllmModel:
    arguments = folder.parent / "arguments.json"
    arguments.write_text(json.dumps(DUMP))
    (folder / "1" / "model.json").write_text(given if isinstance(given, str) else json.dumps(given))
    if loras is not None:
        (folder / "1" / "multi_lora.json").write_text(json.dumps(loras))
    return vllm_model.read(folder, "1", parameters, device, EngineArguments.read(arguments))


def test_arguments_are_vllm_s_and_texts_mean_what_they_can(folder: Path) -> None:
    found = read(folder, {"model": "a/b", "max-model-len": "512", "enable_lora": "true", "disable_log_requests": True})
    assert found == VllmModel("a/b", {"max_model_len": 512, "enable_lora": True}, {}, None, None)


def test_path_is_taken_from_the_server_s_folder_first(folder: Path) -> None:
    for base in (Path.cwd(), folder / "1", folder):
        (base / "weights").mkdir()
    assert read(folder, {"model": "weights"}).model == str(Path.cwd() / "weights")


@pytest.mark.parametrize("base", ["1", "."])
def test_path_may_be_relative_to_the_model_s_own_folders(folder: Path, base: str) -> None:
    (folder / base / "weights").mkdir()
    found = read(folder, {"model": "weights", "tokenizer": "weights", "enable_lora": True}, loras={"doll": "weights"})
    assert Path(found.model).samefile(folder / base / "weights")
    assert found.engine["tokenizer"] == found.loras["doll"] == found.model


def test_adapters_count_only_with_enable_lora(folder: Path) -> None:
    assert read(folder, {"model": "a/b"}, loras={"doll": "weights"}).loras == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{", "it is not JSON"),
        ("[]", "it is not a JSON object"),
        ({}, 'it names no "model"'),
        ({"model": "a/b", "max_modl_len": 1}, "Unknown argument max_modl_len: .*did you mean max_model_len"),
        ({"model": "a/b", "max_model_len": "many"}, "Bad value for max_model_len: it should be a whole number"),
    ],
)
def test_file_that_cannot_be_meant_is_told(folder: Path, given: Any, said: str) -> None:
    with pytest.raises((ModelUnusable, ConfigurationError), match=said) as caught:
        read(folder, given)
    assert str(folder / "1" / "model.json") in caught.value.what


def test_missing_file_is_named(folder: Path) -> None:
    read(folder, {"model": "a/b"})
    (folder / "1" / "model.json").unlink()
    with pytest.raises(ModelUnusable, match=r"There is no .*/llama/1/model\.json"):
        vllm_model.read(folder, "1", {}, None, EngineArguments.read(folder.parent / "arguments.json"))


def test_devices_follow_kind_and_parameter(folder: Path) -> None:
    assert read(folder, {"model": "a/b"}, device=3).devices == "3"
    two = {"model": "a/b", "tensor_parallel_size": 2}
    assert read(folder, two, GPU_DEVICE_IDS="0, 5").devices == "0,5"
    with pytest.raises(ConfigurationError, match="KIND_GPU is for single-GPU models"):
        read(folder, two, device=0)
    with pytest.raises(ConfigurationError, match="it names 1 GPUs"):
        read(folder, two, GPU_DEVICE_IDS="0")


def test_port_of_the_openai_server_is_a_parameter(folder: Path) -> None:
    assert read(folder, {"model": "a/b"}, OPENAI_PORT="9100").openai_port == 9100
    with pytest.raises(ConfigurationError, match="OPENAI_PORT"):
        read(folder, {"model": "a/b"}, OPENAI_PORT="99999")
