from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from trident.config import load
from trident.protocol import spec
from trident.triton import repository

RELAYS = ['ipc:///tmp/a "quoted" path/relay.sock']


@pytest.fixture(autouse=True)
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIDENT_STATE_DIR", str(tmp_path))
    return tmp_path


def parsed(folder: Path, name: str) -> model_config_pb2.ModelConfig:
    return text_format.Parse((folder / name / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())


def test_repository_holds_both_contracts_for_one_engine() -> None:
    folder = repository.write(load({"stubs": 3}, environ={}), RELAYS, "cpu")
    generate, recipe = parsed(folder, "generate"), parsed(folder, "qwen3_vllm")
    assert generate.model_transaction_policy.decoupled and not recipe.model_transaction_policy.decoupled
    assert [tensor.name for tensor in recipe.input] == ["prompt", "max_tokens", "temperature"]
    assert [tensor.name for tensor in recipe.output] == ["generated_text"]
    assert generate.instance_group[0].count == recipe.instance_group[0].count == 3
    told = [spec.load(spec.StubSpec, config.parameters["trident"].string_value) for config in (generate, recipe)]
    assert told[0].relays == told[1].relays == RELAYS
    assert told[1].defaults["stop"] == ["<|endoftext|>", "<|im_end|>"]


def test_repository_is_made_afresh() -> None:
    repository.write(load({}, environ={}), RELAYS, "cpu")
    folder = repository.write(load({"generate_name": "mine"}, environ={}), RELAYS, "cpu")
    assert sorted(path.name for path in folder.iterdir()) == ["generate_infer", "mine", "qwen3_vllm"]


@pytest.mark.parametrize(("build", "share"), [("cpu", 0.4), ("cuda", 1.0)])
def test_response_share_follows_the_build_unless_it_is_set(build: str, share: float) -> None:
    def of(flags: dict[str, float]) -> float:
        folder = repository.write(load(flags, environ={}), RELAYS, build)  # type: ignore[arg-type]
        value = parsed(folder, "generate").parameters["trident"].string_value
        return spec.load(spec.StubSpec, value).response_share

    assert of({}) == share
    assert of({"response_share": 0.5}) == 0.5


def test_configurations_for_another_host_differ_in_nothing_else() -> None:
    config = load({}, environ={})
    folder = repository.write(config, RELAYS, "cpu")
    assert repository.configurations(config, RELAYS, "cpu") == {
        name: (folder / name / "config.pbtxt").read_text() for name in config.own_models
    }
    for name, text in repository.configurations(config, ["ipc:///other"], "cpu").items():
        other, ours = text_format.Parse(text, model_config_pb2.ModelConfig()), parsed(folder, name)
        assert spec.load(spec.StubSpec, other.parameters["trident"].string_value).relays == ["ipc:///other"]
        other.parameters["trident"].string_value = ours.parameters["trident"].string_value
        assert other == ours
