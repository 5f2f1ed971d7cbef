from __future__ import annotations

from pathlib import Path

import pytest

from trident.cli import logs
from trident.config import paths
from trident.errors import ConfigurationError, NotRunning


@pytest.fixture
def folder() -> Path:
    place = paths.run_dir("default") / "logs"
    place.mkdir(parents=True)
    (place / "engine.log").write_text("e1\ne2\ne3\n")
    (place / "triton.log").write_text("t1\n")
    (place / "triton.log.1").write_text("of the run before\n")
    return place


def test_all_logs_come_with_names_in_front(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert folder.is_dir()
    logs.logs(child=None, follow=False, lines=2, name=None)
    assert capsys.readouterr().out == "engine | e2\nengine | e3\ntriton | t1\n"


def test_one_log_comes_as_it_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert folder.is_dir()
    logs.logs(child="engine", follow=False, lines=1, name=None)
    assert capsys.readouterr().out == "e3\n"


def test_unknown_child_and_unknown_server_are_explained(folder: Path) -> None:
    assert folder.is_dir()
    with pytest.raises(ConfigurationError, match="there are engine, triton"):
        logs.find(None, "dashboard")
    with pytest.raises(NotRunning, match="No server named other has logs"):
        logs.find("other", None)


def test_reader_follows_growth_and_a_new_run(folder: Path) -> None:
    path = folder / "engine.log"
    reader = logs.Reader(path)
    assert reader.last(1) == ["e3"]
    with path.open("a") as file:
        file.write("e4\nhal")
    assert reader.new() == ["e4"]
    with path.open("a") as file:
        file.write("f\n")
    assert reader.new() == ["half"]
    path.rename(path.with_suffix(".log.1"))
    path.write_text("new\n")
    assert reader.new() == ["new"]
