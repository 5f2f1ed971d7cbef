from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hub_server import HubServer, safetensors

from trident.errors import ModelNotFound
from trident.models.hub import CACHE, Place
from trident.models.progress import stored_bytes
from trident.models.pull import pull
from trident.models.resolve import ResolvedModel

MODEL = "someone/tiny"
HUBS = ["huggingface", "modelscope"]

pytestmark = pytest.mark.timeout(60)


class Puller:
    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.lines: list[str] = []

    def __call__(self, hub: str = "auto", place: Place = CACHE, *, offline: bool = False) -> ResolvedModel:
        return pull(MODEL, hub, self.data_dir, place=place, offline=offline, report=self.lines.append)  # type: ignore[arg-type]


@pytest.fixture
def puller(tmp_path: Path) -> Puller:
    return Puller(tmp_path / "data")


@pytest.fixture
def hub_with_model(hub_environment: HubServer, model_files: dict[str, bytes]) -> HubServer:
    hub_environment.repositories[MODEL] = model_files
    return hub_environment


@pytest.mark.parametrize("hub", HUBS)
def test_two_cut_connections(
    puller: Puller, hub_with_model: HubServer, model_files: dict[str, bytes], hub: str
) -> None:
    hub_with_model.cuts["model.safetensors"] = 2
    found = puller(hub)
    assert (found.path / "model.safetensors").read_bytes() == model_files["model.safetensors"]
    assert len([line for line in hub_with_model.ranges if line.startswith("model.safetensors ")]) >= 1


@pytest.mark.parametrize("hub", HUBS)
def test_wrong_content_is_fetched_again(
    puller: Puller, hub_with_model: HubServer, model_files: dict[str, bytes], hub: str
) -> None:
    hub_with_model.spoilt["model.safetensors"] = 1
    found = puller(hub)
    assert (found.path / "model.safetensors").read_bytes() == model_files["model.safetensors"]


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("hub", HUBS)
def test_content_that_stays_wrong_is_refused(puller: Puller, hub_with_model: HubServer, hub: str, name: str) -> None:
    hub_with_model.spoilt[name] = 1000
    with pytest.raises(ModelNotFound):
        puller(hub)
    with pytest.raises(ModelNotFound):  # and what came is not taken for the model later
        puller(hub, offline=True)


@pytest.mark.parametrize("hub", HUBS)
@pytest.mark.usefixtures("hub_with_model")
def test_file_that_was_damaged_later_is_mended(puller: Puller, model_files: dict[str, bytes], hub: str) -> None:
    weights = (puller(hub).path / "model.safetensors").resolve()
    weights.write_bytes(model_files["model.safetensors"][:-1] + b"\1")
    again = puller(hub)
    assert (again.path / "model.safetensors").read_bytes() == model_files["model.safetensors"]


@pytest.mark.parametrize("hub", HUBS)
def test_complete_model_is_not_fetched_again(puller: Puller, hub_with_model: HubServer, hub: str) -> None:
    first = puller(hub)
    hub_with_model.requests.clear()
    assert puller(hub) == first
    assert not [line for line in hub_with_model.requests if line.startswith("GET") and "safetensors" in line]


@pytest.mark.parametrize("hub", HUBS)
def test_folder_of_ones_own(
    puller: Puller, hub_with_model: HubServer, model_files: dict[str, bytes], hub: str, tmp_path: Path
) -> None:
    hub_with_model.cuts["model.safetensors"] = 1
    found = puller(hub, Place(folder=tmp_path / "mine"))
    assert found.path == tmp_path / "mine"
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        assert (found.path / name).read_bytes() == model_files[name]
    assert not (found.path / "model.safetensors").is_symlink()
    assert not (found.path / "README.md").exists()


@pytest.mark.parametrize("hub", HUBS)
def test_revision(puller: Puller, hub_with_model: HubServer, model_files: dict[str, bytes], hub: str) -> None:
    hub_with_model.revisions[MODEL, "v2"] = {**model_files, "chat_template.jinja": b"the second"}
    found = puller(hub, Place(revision="v2"))
    assert (found.path / "chat_template.jinja").read_bytes() == b"the second"


@pytest.mark.parametrize("hub", HUBS)
@pytest.mark.usefixtures("hub_with_model")
def test_revision_that_is_not_there(puller: Puller, hub: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        puller(hub, Place(revision="v9"))
    assert "no such" in caught.value.why


@pytest.mark.parametrize("hub", HUBS)
@pytest.mark.usefixtures("hub_with_model")
def test_without_a_network_the_copy_will_do(puller: Puller, hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = puller(hub)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", "http://127.0.0.1:9")
    assert puller(hub) == first
    assert puller(hub, offline=True) == first
    with pytest.raises(ModelNotFound):
        puller(hub, Place(revision="v2"))


@pytest.mark.parametrize("hub", HUBS)
def test_no_space_is_known_before(
    puller: Puller, hub_with_model: HubServer, hub: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(ModelNotFound, match="are free at"):
        puller(hub, Place(folder=tmp_path / "mine"))
    assert hub_with_model.fetched() == set()


@pytest.mark.parametrize("hub", HUBS)
def test_killed_twice_and_resumed(
    hub_with_model: HubServer, model_files: dict[str, bytes], tmp_path: Path, hub: str
) -> None:
    """By the command itself: two pulls die in the middle of the weights, the third goes on from there."""
    model_files["model.safetensors"] = weights = safetensors(40 << 20)  # more than the libraries keep before they write
    command = [sys.executable, "-m", "trident", "pull", MODEL, "--hub", hub]
    environ = {**os.environ, "TRIDENT_DATA_DIR": str(tmp_path / "data"), "TRIDENT_STATE_DIR": str(tmp_path / "state")}
    hub_with_model.hold_after_bytes = 12 << 20
    for _ in range(2):
        before_bytes = stored_bytes(tmp_path)
        with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline and stored_bytes(tmp_path) < before_bytes + (8 << 20):
                time.sleep(0.05)
            killed.send_signal(signal.SIGKILL)
    hub_with_model.hold_after_bytes = None
    hub_with_model.let_go.set()
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=40, check=True)
    assert (Path(done.stdout.strip()) / "model.safetensors").read_bytes() == weights
    starts = [int(line.split()[1]) for line in hub_with_model.ranges if line.startswith("model.safetensors ")]
    assert max(starts) >= 16 << 20, "it goes on from what two pulls had left"
