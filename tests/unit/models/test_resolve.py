from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import HubServer

from trident.errors import ModelNotFound, ModelUnusable
from trident.models.resolve import ResolvedModel, resolve

MODEL = "someone/tiny"
NEEDED = {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"}

pytestmark = pytest.mark.timeout(60)


class Asker:
    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.lines: list[str] = []

    def __call__(self, model: str = MODEL, hub: str = "auto", *, offline: bool = False) -> ResolvedModel:
        return resolve(model, hub, self.data_dir, offline=offline, report=self.lines.append)  # type: ignore[arg-type]


@pytest.fixture
def ask(tmp_path: Path) -> Asker:
    return Asker(tmp_path / "data")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every address that somebody tries to connect to."""
    tried: list[object] = []

    def refuse(_: socket.socket, address: object) -> None:
        tried.append(address)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    return tried


def write_model(folder: Path, files: dict[str, bytes]) -> Path:
    for name, body in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    return folder


def test_folder_absolute(ask: Asker, tmp_path: Path, model_files: dict[str, bytes]) -> None:
    folder = write_model(tmp_path / "My-Model.1", model_files)
    assert ask(str(folder)) == ResolvedModel(folder, "My-Model.1", "folder")


@pytest.mark.parametrize("typed", ["mine", "./mine", "mine/"])
def test_folder_relative(
    ask: Asker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_files: dict[str, bytes], typed: str
) -> None:
    write_model(tmp_path / "mine", model_files)
    monkeypatch.chdir(tmp_path)
    found = ask(typed)
    assert (found.name, found.path) == ("mine", tmp_path / "mine")


def test_folder_here_has_its_own_name(
    ask: Asker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_files: dict[str, bytes]
) -> None:
    monkeypatch.chdir(write_model(tmp_path / "mine", model_files))
    assert ask(".").name == "mine"


def test_folder_in_home(
    ask: Asker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_files: dict[str, bytes]
) -> None:
    write_model(tmp_path / "mine", model_files)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ask("~/mine").path == tmp_path / "mine"


def test_folder_wins_over_an_id(
    ask: Asker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_files: dict[str, bytes]
) -> None:
    write_model(tmp_path / MODEL, model_files)
    monkeypatch.chdir(tmp_path)
    assert ask(MODEL).source == "folder"


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("/no/such/folder", "/ holds no no"),
        ("./missing", "the folder does not exist"),
        ("~/missing-model", "the folder does not exist"),
        ("models\\qwen", "the folder does not exist"),
        ("a/b/c", "holds no a"),
        ("demmo", "did you mean demo?"),
        ("", "neither demo"),
        ("a b/c", "does not exist"),
        ("Qwen/Qwen3-0.6B/", "it is no id"),
        ("https://modelscope.cn/models/Qwen/Qwen3-0.6B/files", "it is no id"),
    ],
)
def test_name_that_leads_nowhere(ask: Asker, no_network: list[object], typed: str, why: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        ask(typed)
    assert why in caught.value.why
    assert len(caught.value.lines()) == 3
    assert no_network == []


def test_misspelt_folder_names_the_near_one(ask: Asker, tmp_path: Path) -> None:
    (tmp_path / "Qwen3-0.6B").mkdir()
    with pytest.raises(ModelNotFound, match=r"did you mean Qwen3-0\.6B"):
        ask(str(tmp_path / "Qwen3-06B"))


def test_file_instead_of_folder(ask: Asker, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelUnusable, match="it is a file"):
        ask(str(tmp_path / "model.gguf"))


@pytest.mark.parametrize("hub", ["huggingface", "modelscope"])
def test_hub_gives_what_is_needed_and_no_more(
    ask: Asker, hub_environment: HubServer, model_files: dict[str, bytes], hub: str
) -> None:
    hub_environment.repositories[MODEL] = model_files
    found = ask(hub=hub)
    assert (found.name, found.source) == (MODEL, hub)
    assert {name for name in NEEDED if (found.path / name).read_bytes() == model_files[name]} == NEEDED
    assert hub_environment.fetched() == NEEDED
    assert "4 files, 400 kB" in ask.lines[0]
    assert "complete" in ask.lines[-1]


@pytest.mark.parametrize("hub", ["huggingface", "modelscope"])
def test_second_time_asks_nobody(
    ask: Asker, hub_environment: HubServer, model_files: dict[str, bytes], hub: str
) -> None:
    hub_environment.repositories[MODEL] = model_files
    first = ask(hub=hub)
    hub_environment.requests.clear()
    assert ask(hub="auto") == first
    assert ask(hub="auto", offline=True) == first
    assert hub_environment.requests == []


@pytest.mark.parametrize("hub", ["huggingface", "modelscope"])
def test_hub_prints_nothing(
    ask: Asker, hub_environment: HubServer, model_files: dict[str, bytes], hub: str, capfd: pytest.CaptureFixture[str]
) -> None:
    hub_environment.repositories[MODEL] = model_files
    hub_environment.cuts["model.safetensors"] = 1
    ask(hub=hub)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("hub", ["huggingface", "modelscope"])
def test_cut_connection_is_resumed(
    ask: Asker, hub_environment: HubServer, model_files: dict[str, bytes], hub: str
) -> None:
    hub_environment.repositories[MODEL] = model_files
    hub_environment.cuts["model.safetensors"] = 1
    found = ask(hub=hub)
    assert (found.path / "model.safetensors").read_bytes() == model_files["model.safetensors"]
    assert [line for line in hub_environment.ranges if line.startswith("model.safetensors ")]


@pytest.mark.parametrize("hub", ["huggingface", "modelscope"])
def test_interrupted_download_is_completed_next_time(
    ask: Asker, hub_environment: HubServer, model_files: dict[str, bytes], hub: str
) -> None:
    hub_environment.repositories[MODEL] = model_files
    whole = ask(hub=hub).path
    (whole / "chat_template.jinja").unlink()
    with pytest.raises(ModelNotFound, match="incomplete"):
        ask(hub=hub, offline=True)
    assert (ask(hub=hub).path / "chat_template.jinja").read_bytes() == model_files["chat_template.jinja"]


@pytest.mark.usefixtures("hub_environment")
def test_copy_that_others_fetched_is_used(ask: Asker, model_files: dict[str, bytes]) -> None:
    write_model(Path(os.environ["MODELSCOPE_CACHE"]) / "models" / "someone" / "tiny", model_files)
    assert ask(offline=True).source == "modelscope"


@pytest.mark.parametrize("hub", ["huggingface", "modelscope"])
@pytest.mark.usefixtures("hub_environment")
def test_unknown_id(ask: Asker, hub: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        ask(hub=hub)
    assert "no such model" in caught.value.why
    assert "spelling" in caught.value.next_step


@pytest.mark.parametrize(("hub", "variable"), [("huggingface", "HF_TOKEN"), ("modelscope", "MODELSCOPE_API_TOKEN")])
def test_gated_model_asks_for_a_token(
    ask: Asker,
    hub_environment: HubServer,
    model_files: dict[str, bytes],
    hub: str,
    variable: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub_environment.repositories[MODEL] = model_files
    hub_environment.gated.add(MODEL)
    with pytest.raises(ModelNotFound) as caught:
        ask(hub=hub)
    assert "token" in caught.value.why
    assert variable in caught.value.next_step
    monkeypatch.setenv(variable, "hf_secret")
    assert ask(hub=hub).name == MODEL


@pytest.mark.usefixtures("hub_environment")
def test_auto_goes_on_to_modelscope(ask: Asker, model_files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    with HubServer.running() as other:
        other.repositories[MODEL] = model_files
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", other.url)
        assert ask().source == "modelscope"
    assert any("Hugging Face: no such model" in line for line in ask.lines)


@pytest.mark.usefixtures("hub_environment")
def test_auto_names_what_each_hub_said(ask: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelNotFound) as caught:
        ask()
    assert "Hugging Face: no connection" in caught.value.why
    assert "ModelScope: no such model" in caught.value.why
    assert "HTTPS_PROXY" in caught.value.next_step


@pytest.mark.parametrize("hub", ["huggingface", "modelscope"])
@pytest.mark.usefixtures("hub_environment")
def test_no_route(ask: Asker, hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelNotFound, match="no connection"):
        ask(hub=hub)


def test_repository_without_weights(ask: Asker, hub_environment: HubServer, model_files: dict[str, bytes]) -> None:
    hub_environment.repositories[MODEL] = {
        name: body for name, body in model_files.items() if not name.endswith((".safetensors", ".bin"))
    }
    with pytest.raises(ModelNotFound, match="no weights that vLLM loads"):
        ask(hub="huggingface")


def test_no_space(
    ask: Asker, hub_environment: HubServer, model_files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_environment.repositories[MODEL] = model_files
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(ModelNotFound) as caught:
        ask(hub="huggingface")
    assert "are free at" in caught.value.why
    assert hub_environment.fetched() == set()


@pytest.mark.usefixtures("hub_environment")
def test_offline_opens_no_connection(ask: Asker, no_network: list[object]) -> None:
    with pytest.raises(ModelNotFound) as caught:
        ask(offline=True)
    assert no_network == []
    assert "offline" in caught.value.what
    assert "not in its cache" in caught.value.why


def test_libraries_are_imported_when_needed() -> None:
    libraries = {"huggingface_hub", "modelscope", "modelscope_hub", "tqdm"}
    code = f"import sys, trident.models.resolve; print({libraries} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "set()\n"
