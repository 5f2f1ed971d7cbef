from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from trident.config import load
from trident.errors import ConfigurationError
from trident.triton import export


def parsed(folder: Path) -> model_config_pb2.ModelConfig:
    return text_format.Parse((folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())


def arguments(folder: Path) -> Any:
    return json.loads((folder / "1" / "model.json").read_text())


def test_python_flavour_is_complete_and_shares_one_engine(tmp_path: Path) -> None:
    config = load({"engine": {"max_model_len": 256}, "stubs": 2}, environ={})
    names = export.write(tmp_path / "new" / "repository", config, "a/b", "python")
    assert names == ["generate", "generate_infer", "qwen3_vllm"]
    folders = [tmp_path / "new" / "repository" / name for name in names]
    assert all(arguments(folder) == {"model": "a/b", "max_model_len": 256} for folder in folders)
    generate, infer, recipe = (parsed(folder) for folder in folders)
    assert generate.backend == "python" and generate.instance_group[0].count == 2
    assert generate.model_transaction_policy.decoupled and not infer.model_transaction_policy.decoupled
    assert {one.parameters["TRIDENT_ENGINE"].string_value for one in (generate, infer, recipe)} == {"generate"}
    assert json.loads(recipe.parameters["TRIDENT_DEFAULTS"].string_value)["max_tokens"] == 512
    assert "TRIDENT_DEFAULTS" not in generate.parameters


def test_exported_module_finds_trident_by_itself(tmp_path: Path) -> None:
    export.write(tmp_path, load({}, environ={}), "demo", "python")
    fakes = Path(__file__).parent / "stub"
    code = f"""
import sys
sys.path.append({str(fakes)!r})
sys.path.append({str(tmp_path / "generate" / "1")!r})
import numpy, triton_fakes
sys.modules["triton_python_backend_utils"] = triton_fakes.module()
import model, os
print(model.TritonPythonModel.__name__, os.environ["TRIDENT_PYTHON"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout == f"TritonPythonModel {sys.executable}\n", done.stderr


def test_vllm_flavour_is_one_model_that_triton_completes(tmp_path: Path) -> None:
    config = load({"generate_name": "llama"}, environ={})
    assert export.write(tmp_path, config, "a/b", "vllm") == ["llama"]
    assert parsed(tmp_path / "llama").backend == "vllm"
    assert arguments(tmp_path / "llama") == {"model": "a/b"}
    assert sorted(path.name for path in (tmp_path / "llama" / "1").iterdir()) == ["model.json"]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(ConfigurationError, match="is not empty"):
        export.write(tmp_path, load({}, environ={}), "demo", "vllm")
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
