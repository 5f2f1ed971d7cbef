"""A model from a hub on this machine, spoilt and cut on the way and then served; a doctor who finds nothing to do."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Served
from tensor_file import Raw, load, save

from trident.models.resolve import DEMO_FOLDER

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "models"))

from hub_server import HubServer

MODEL = "someone/pulled"
VOCABULARY = 100_000
WEIGHTS = "model.safetensors"

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The demo with a vocabulary that is mostly empty: 40 MB, as the libraries keep what came in parts of ten."""
    found = {file.name: file.read_bytes() for file in DEMO_FOLDER.iterdir() if file.is_file()}
    tensors = load(DEMO_FOLDER / WEIGHTS)
    words = tensors["model.embed_tokens.weight"]
    missing_bytes = (VOCABULARY - words.shape[0]) * words.shape[1] * 2
    larger = Raw(words.dtype, [VOCABULARY, words.shape[1]], words.data + bytes(missing_bytes))
    weights = tmp_path_factory.mktemp("w") / WEIGHTS
    save(weights, {**tensors, "model.embed_tokens.weight": larger})
    config = {**json.loads(found["config.json"]), "vocab_size": VOCABULARY}
    return {**found, "config.json": json.dumps(config).encode(), WEIGHTS: weights.read_bytes()}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> Iterator[HubServer]:
    """It has the model, speaks both protocols, and is the only one that is known; caches and logins are empty."""
    for name in ("HF_TOKEN", "HF_HUB_CACHE", "MODELSCOPE_DOMAIN", "MODELSCOPE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HF_HOME", "HF_TOKEN_PATH", "MODELSCOPE_CACHE", "MODELSCOPE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    with HubServer.running() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", running.url)
        running.repositories[MODEL] = files
        yield running


@pytest.mark.parametrize("name", ["huggingface", "modelscope"])
def test_model_is_pulled_through_a_bad_line_and_served(name: str, hub: HubServer, tmp_path: Path) -> None:
    served = Served.plan(tmp_path / "state")
    of_hub = ("--hub", name)

    hub.spoilt[WEIGHTS] = 1000
    refused = served.trident("pull", MODEL, *of_hub)
    assert refused.returncode != 0
    assert WEIGHTS in refused.stderr and "Traceback" not in refused.stderr
    assert served.serve(MODEL, "--offline", *of_hub).returncode != 0, "what came is not taken for the model"

    hub.spoilt.clear()
    hub.ranges.clear()
    hub.cuts[WEIGHTS] = 2
    pulled = served.trident("pull", MODEL, *of_hub)
    assert pulled.returncode == 0, pulled.stderr
    assert hub.cuts[WEIGHTS] == 0, "it was cut twice"
    begun = [int(line.split()[1]) for line in hub.ranges if line.startswith(f"{WEIGHTS} ")]
    assert max(begun) >= 10_000_000, f"it went on from where it was cut, not from the start: {begun}"

    started = served.serve(MODEL, "--offline", *of_hub)
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        assert served.state()["model"]["path"].startswith(str(tmp_path))
        answer = served.generate("What is the capital of France?\n").json()["text_output"]
        assert answer == "The capital of France is Paris."
    finally:
        served.trident("stop")


def test_doctor_asks_the_running_server_and_finds_nothing_to_do(server: Served) -> None:
    done = server.trident("doctor", "--json")
    report = json.loads(done.stdout)
    failed = [finding for finding in report["findings"] if finding["level"] == "fail"]
    assert (failed, done.returncode) == ([], 0)
    (asked,) = [finding for finding in report["findings"] if finding["check"] == "server.request"]
    assert asked["level"] == "ok" and "OpenAI" in asked["text"]
