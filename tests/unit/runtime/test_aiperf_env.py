from __future__ import annotations

from pathlib import Path

import pytest

from trident.errors import EnvironmentBroken
from trident.runtime import aiperf_env, pins
from trident.runtime.progress import silent


@pytest.fixture(autouse=True)
def _fake(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiperf_env, "find_uv", lambda: calls.parent / "uv")


def test_environment_is_made_once_from_pinned_hashes(calls: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert aiperf_env.installed(data) is None
    python = aiperf_env.install(data, silent)
    assert python == data / "tools" / f"aiperf-{pins.AIPERF_VERSION}" / "bin" / "python"
    asked = calls.read_text().splitlines()
    assert any("--require-hashes" in line and str(pins.AIPERF_FILE) in line for line in asked)
    assert aiperf_env.install(data, silent) == python
    assert calls.read_text().splitlines() == asked


def test_environment_of_other_pins_is_made_anew(tmp_path: Path) -> None:
    data = tmp_path / "data"
    python = aiperf_env.install(data, silent)
    (python.parent.parent / aiperf_env.STAMP_NAME).write_text('{"pins_sha256": "of yesterday"}')
    assert aiperf_env.installed(data) is None
    assert aiperf_env.install(data, silent) == python
    assert aiperf_env.installed(data) == python


def test_failed_installation_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAIL", "client error (Connect): dns error")
    with pytest.raises(EnvironmentBroken) as raised:
        aiperf_env.install(tmp_path / "data", silent)
    assert raised.value.log_path is not None
    assert [path.name for path in (tmp_path / "data" / "tools").iterdir()] == [".lock"]


def test_pins_name_the_version_they_are_for() -> None:
    assert f"\naiperf=={pins.AIPERF_VERSION} " in pins.AIPERF_FILE.read_text()
