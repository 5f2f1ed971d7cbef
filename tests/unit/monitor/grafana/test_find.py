from __future__ import annotations

from pathlib import Path

import pytest

from trident.errors import ConfigurationError
from trident.monitor.grafana import find


def script(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("name", ["", "bin", "bin/grafana"])
def test_unpacked_archive_is_found_by_each_of_its_places(unpacked: Path, name: str) -> None:
    assert find.program(str(unpacked / name)) == (unpacked / "bin" / "grafana", unpacked)


def test_program_on_path_is_found(unpacked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(unpacked / "bin"))
    assert find.program("grafana").home == unpacked


def test_files_of_a_package_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = script(tmp_path / "sbin" / "grafana", "grafana version 12.1.0")
    home = tmp_path / "share"
    (home / "conf").mkdir(parents=True)
    (home / "conf" / "defaults.ini").touch()
    monkeypatch.setattr(find, "PACKAGES_HOME", home)
    assert find.program(str(program)) == (program, home)


@pytest.mark.parametrize(
    ("says", "what"),
    [
        ("prometheus, version 2.42.0", "is no Grafana"),
        ("", "is no Grafana"),
        ("grafana version 9.5.2", "is too old"),
        ("grafana version 10.3.9", "is too old"),
        ("grafana version 11.0.0", "is without the rest of Grafana"),
    ],
)
def test_what_cannot_be_used_is_told(tmp_path: Path, says: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "PACKAGES_HOME", tmp_path / "nowhere")
    with pytest.raises(ConfigurationError) as told:
        find.program(str(script(tmp_path / "bin" / "grafana", says)))
    assert what in told.value.what


def test_nothing_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="There is no Grafana at"):
        find.program(str(tmp_path / "absent"))
