from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trident.config import Config, load
from trident.errors import ConfigurationError


def written(folder: Path, text: str) -> Path:
    file = folder / "trident.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("listen = 3", "Bad setting listen"),
        ("[[listen]]\nhttp_port = 1", "Bad setting listen"),
        ("engine = 3", "Bad setting engine"),
        ("[engine]\nmax_model_len = 1\nmax-model-len = 2", "Bad setting engine"),
        ("[listen]\nhtp_port = 1", "Unknown setting listen.htp_port"),
        ("model = ", "Cannot read the configuration"),
    ],
)
def test_mistake_in_the_file_is_named_though_a_flag_is_given(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what) as caught:
        load({"http_port": "8100"}, file=written(tmp_path, text), environ={})
    assert len(caught.value.lines()) == 3


def test_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Cannot read the configuration"):
        load(file=tmp_path, environ={})


def test_file_of_an_editor_that_marks_utf8_is_read(tmp_path: Path) -> None:
    file = tmp_path / "trident.toml"
    file.write_bytes(b"\xef\xbb\xbf" + b'name = "marked"')
    assert load(file=file, environ={}).name == "marked"


@pytest.mark.parametrize("name", ["", ".", "..", "-x", "a/b", "a b", "é", "a" * 101, "a\n"])
@pytest.mark.parametrize("setting", ["name", "generate_name", "recipe_name"])
def test_name_that_cannot_be_a_folder_is_refused(setting: str, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"Bad setting .*{setting}"):
        load({setting: name}, environ={})


@pytest.mark.parametrize("setting", ["start_timeout_s", "stop_timeout_s", "heartbeat_s", "heartbeat_timeout_s"])
@pytest.mark.parametrize("seconds", ["inf", "nan", "0", "-1", "1e300"])
def test_time_that_cannot_be_waited_is_refused(setting: str, seconds: str) -> None:
    with pytest.raises(ConfigurationError, match=setting):
        load({setting: seconds}, environ={})


def test_defaults_are_valid() -> None:
    assert load(environ={}, file=None) == Config()


def test_folder_of_adapters_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"Bad setting adapters\.lora_dir"):
        load({"lora_dir": str(tmp_path / "nowhere")}, environ={})
    assert load({"lora_dir": str(tmp_path)}, environ={}).adapters.lora_dir == tmp_path


def test_repositories_alone_have_no_model() -> None:
    alone = load({}, environ={"TRIDENT_MODEL_REPOSITORY": '["/a", "/b"]'})
    assert alone.model is None and alone.triton.model_repository == ("/a", "/b")
    assert alone.own_models == () and "OpenAI" not in alone.ports
    beside = load({"model": "demo", "model_repository": ["/a"]}, environ={})
    assert beside.model == "demo" and "generate" in beside.own_models and "OpenAI" in beside.ports
    assert Config.model_validate_json(alone.model_dump_json()) == alone


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"model_repository": ["/a"], "engine": {"max_model_len": 8}}, "there is no MODEL"),
        ({"load_model": ["a"]}, "needs model_control_mode = explicit"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(flags: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        load(flags, environ={})
