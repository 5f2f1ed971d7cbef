from __future__ import annotations

from pathlib import Path

import pytest

from trident.errors import ConfigurationError
from trident.monitor.prometheus import find


def script(folder: Path, name: str, body: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def prometheus(tmp_path: Path) -> Path:
    return script(tmp_path, "prometheus", "echo 'prometheus, version 2.42.0+ds'")


def test_program_of_the_path_is_found(prometheus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{prometheus.parent}:/bin:/usr/bin")

    assert find.program("auto") == prometheus


def test_nothing_is_found_where_nothing_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find.program("auto") is None


def test_none_is_wanted(prometheus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(prometheus.parent))

    assert find.program("none") is None


def test_named_program_is_taken(prometheus: Path) -> None:
    assert find.program(str(prometheus)) == prometheus


def test_named_program_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        find.program(str(tmp_path / "prometheus"))

    assert caught.value.what == f"There is no Prometheus at {tmp_path}/prometheus"
    assert "--prometheus" in caught.value.next_step


def test_another_program_of_that_name_is_an_error(tmp_path: Path) -> None:
    other = script(tmp_path, "prometheus", "echo 'promethium 1'")

    with pytest.raises(ConfigurationError) as caught:
        find.program(str(other))

    assert (caught.value.what, caught.value.why) == (f"{other} is no Prometheus", "promethium 1")
