from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from hub_server import HubServer, safetensors

from trident.models.progress import without_bars


@pytest.fixture
def model_files() -> dict[str, bytes]:
    """A whole small model, and what a repository holds beside it."""
    return {
        "config.json": json.dumps({"architectures": ["Qwen3ForCausalLM"]}).encode(),
        "model.safetensors": safetensors(),
        "tokenizer.json": b"{}",
        "chat_template.jinja": b"{{ messages }}",
        "pytorch_model.bin": b"x" * 100,
        "onnx/model.onnx": b"x",
        "original/params.json": b"{}",
        "README.md": b"# A model",
        "model-q4.gguf": b"GGUF",
    }


@pytest.fixture
def hub_server() -> Iterator[HubServer]:
    with HubServer.running() as server:
        yield server


@pytest.fixture
def hub_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub_server: HubServer) -> HubServer:
    """Both hubs are the local server; caches and logins are empty."""
    without_bars()
    for variable in ("HF_TOKEN", "HF_HUB_CACHE", "MODELSCOPE_DOMAIN", "MODELSCOPE_API_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "modelscope"))
    monkeypatch.setenv("MODELSCOPE_HOME", str(tmp_path / "modelscope-home"))
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", hub_server.url)
    monkeypatch.setattr("modelscope_hub._legacy_api.REPO_TREE_PAGE_MAX_ATTEMPTS", 1)  # it waits 7 s otherwise
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 64 * 1024)  # what a cut loses at most
    return hub_server
