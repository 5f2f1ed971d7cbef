from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trident.config import load
from trident.config.models import Config
from trident.errors import ConfigurationError
from trident.triton import shadow, user_models


@pytest.fixture(autouse=True)
def _state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIDENT_STATE_DIR", str(tmp_path / "state"))


def model(repository: Path, name: str, code: str | None = None) -> Path:
    """A model with a weights folder, and with ``model.py`` when there is ``code``."""
    version = repository / name / "1"
    (version / "weights").mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text('backend: "vllm"')
    if code is not None:
        (version / "model.py").write_text(code)
    return repository / name


def config(*repositories: Path, **flags: Any) -> Config:
    return load({"model_repository": [str(folder) for folder in repositories], **flags}, environ={})


def test_models_of_all_repositories_are_found(tmp_path: Path) -> None:
    a, b = model(tmp_path / "one", "a"), model(tmp_path / "two", "b")
    (tmp_path / "one" / ".git").mkdir()
    (tmp_path / "one" / "README.md").touch()
    assert user_models.find(config(tmp_path / "one", tmp_path / "two")) == {"a": a, "b": b}


def test_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    model(tmp_path / "one", "generate")
    model(tmp_path / "two", "generate")
    with pytest.raises(ConfigurationError, match="The model name generate is there twice"):
        user_models.find(config(tmp_path / "one", tmp_path / "two"))
    with pytest.raises(ConfigurationError, match="--generate-name NAME"):
        user_models.find(config(tmp_path / "one", model="demo"))
    assert list(user_models.find(config(tmp_path / "one"))) == ["generate"]


def test_what_is_no_repository_is_told(tmp_path: Path) -> None:
    alone = model(tmp_path / "one", "llama")
    (tmp_path / "empty").mkdir()
    for folder, said in [
        (tmp_path / "none", "Cannot read the repository"),
        (tmp_path / "empty", "holds no model"),
        (alone, "is a model, not a repository"),
    ]:
        with pytest.raises(ConfigurationError, match=said):
            user_models.find(config(folder))


def test_name_to_load_must_be_there(tmp_path: Path) -> None:
    model(tmp_path, "llama")
    with pytest.raises(ConfigurationError, match="did you mean llama"):
        user_models.find(config(tmp_path, model_control_mode="explicit", load_model=["lama"]))


def test_shadow_links_and_caches_code_where_nobody_else_is(tmp_path: Path) -> None:
    repository, ours = tmp_path / "user", tmp_path / "ours"
    plain, coded = model(repository, "plain"), model(repository, "coded", "import helper\n")
    (coded / "1" / "helper").mkdir()
    (coded / "1" / "helper" / "__init__.py").touch()
    ours.mkdir()
    shadow.follow(config(repository), ours)
    assert (ours / "plain").readlink() == plain
    assert (ours / "coded" / "1" / "weights").readlink() == coded / "1" / "weights"
    assert (ours / "coded" / "1" / "model.py").resolve() == coded / "1" / "model.py"
    assert list((ours / "coded" / "1" / "__pycache__").iterdir())
    assert list((ours / "coded" / "1" / "helper" / "__pycache__").iterdir())
    assert list(repository.rglob("__pycache__")) == []


def test_shadow_follows_what_changes_and_touches_nothing_else(tmp_path: Path) -> None:
    repository, ours = tmp_path / "user", tmp_path / "ours"
    coded = model(repository, "coded", "")
    model(repository, "goes")
    (ours / "generate").mkdir(parents=True)
    of = config(repository, model="demo")
    shadow.follow(of, ours)
    before = (ours / "coded" / "1").stat().st_mtime_ns
    shadow.follow(of, ours)
    assert (ours / "coded" / "1").stat().st_mtime_ns == before
    model(repository, "comes")
    (repository / "goes").rename(tmp_path / "gone")
    (coded / "1" / "more.py").touch()
    (coded / "1" / "model.py").write_text("this is no Python\n")
    shadow.follow(of, ours)
    assert sorted(place.name for place in ours.iterdir()) == ["coded", "comes", "generate"]
    assert (ours / "coded" / "1" / "more.py").exists()
