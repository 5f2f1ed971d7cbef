from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trident.cli import main as program
from trident.monitor.grafana import export

PROMETHEUS = "http://127.0.0.1:9090"


def read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def test_dashboards_and_provisioning_files_are_written(tmp_path: Path) -> None:
    written = export.write(tmp_path / "g", PROMETHEUS, 2)
    assert all(file.is_file() for file in written)
    assert {file.relative_to(tmp_path / "g").as_posix() for file in written} >= {
        "dashboards/trident-overview.json",
        "provisioning/datasources/trident.yaml",
        "provisioning/dashboards/trident.yaml",
    }


def test_grafana_is_told_where_the_dashboards_and_prometheus_are(tmp_path: Path) -> None:
    export.write(tmp_path, 'http://h:1/"odd"', 0.5)
    (source,) = read(tmp_path / "provisioning/datasources/trident.yaml")["datasources"]
    assert source["url"] == 'http://h:1/"odd"' and source["jsonData"]["timeInterval"] == "500ms"
    (provider,) = read(tmp_path / "provisioning/dashboards/trident.yaml")["providers"]
    assert provider["options"]["path"] == str(tmp_path / "dashboards")


def test_another_place_of_the_dashboards_is_told(tmp_path: Path) -> None:
    export.write(tmp_path, PROMETHEUS, 2, dashboards_at=Path("/var/lib/grafana/dashboards/trident"))
    (provider,) = read(tmp_path / "provisioning/dashboards/trident.yaml")["providers"]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards/trident"


def test_a_second_export_replaces_the_first(tmp_path: Path) -> None:
    assert export.write(tmp_path, PROMETHEUS, 2) == export.write(tmp_path, PROMETHEUS, 2)


@pytest.mark.parametrize(("seconds", "bound"), [(1, "1.0"), (0.1, "0.1"), (2.5, "2.5"), (0.05, "0.05")])
def test_promises_are_written_as_bounds_of_histograms(seconds: float, bound: str) -> None:
    assert export.bounds(seconds, 0.1)["ttft_bound_s"] == bound


def test_command_writes_what_a_grafana_and_a_prometheus_need(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        program.main(["monitor", "grafana", "export", "out", "--prometheus-url", "http://p:1"])
    assert ended.value.code == 0
    named = [Path(line) for line in capsys.readouterr().out.splitlines() if line.startswith("/")]
    assert len(named) == 7 and all(file.is_relative_to(tmp_path / "out") and file.is_file() for file in named)
    (source,) = read(tmp_path / "out/provisioning/datasources/trident.yaml")["datasources"]
    assert source["url"] == "http://p:1"
    assert read(tmp_path / "out/prometheus/trident.rules.yml")["groups"]


def test_command_says_when_it_cannot_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as ended:
        program.main(["monitor", "grafana", "export", "file"])
    assert ended.value.code == 3
    assert "Cannot write to" in capsys.readouterr().err
