from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from trident.config.models import Config
from trident.errors import EnvironmentBroken, NotRunning
from trident.service.systemd import Manager
from trident.service.unit import Unit, quoted


class Systemctl:
    """Notes what it is told."""

    def __init__(self, code: int = 0, out: str = "", err: str = "") -> None:
        self.told: list[str] = []
        self._answer = (code, out, err)

    def __call__(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        self.told.append(" ".join(words))
        code, out, err = self._answer
        return subprocess.CompletedProcess(words, code, out, err)


def unit(user: str | None = None, folder: Path = Path("/srv/my models")) -> Unit:
    words = [sys.executable, "-m", "trident", "serve", "--config", "/srv/100% mine/$x.toml"]
    return Unit(Config(name="eins"), words, folder, {"TRIDENT_DATA_DIR": "/data dir"}, user)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "systemd" / "user"


def test_unit_restarts_but_not_what_cannot_start() -> None:
    parsed = configparser.RawConfigParser(strict=False, delimiters=("=",))
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(unit().text())
    service = parsed["Service"]
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("on-failure", "3")
    assert int(service["TimeoutStopSec"]) >= 40
    assert service["LimitNOFILE"] == "65536"
    assert service["KillMode"] == "mixed"
    assert "User" not in service
    assert parsed["Install"]["WantedBy"] == "default.target"


def test_machine_s_unit_has_an_account() -> None:
    text = unit("trident").text()
    assert "User=trident\n" in text and "WantedBy=multi-user.target" in text and "LimitMEMLOCK=infinity" in text


def test_words_mean_themselves() -> None:
    assert quoted('a "b" 50% $HOME \\') == '"a \\"b\\" 50%% $$HOME \\\\"'
    assert '"/srv/100%% mine/$$x.toml"' in unit().text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_understands_it(tmp_path: Path) -> None:
    file = tmp_path / "trident-eins.service"
    file.write_text(unit("root", tmp_path).text())
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True, timeout=30
    )
    assert [line for line in done.stderr.splitlines() if "trident-eins" in line] == []


def test_install_writes_enables_and_starts(home: Path) -> None:
    systemctl = Systemctl()
    path = Manager(False, systemctl).install(unit())
    assert path == home / "trident-eins.service"
    assert path.read_text() == unit().text()
    assert systemctl.told == [
        "systemctl --user daemon-reload",
        "systemctl --user enable trident-eins.service",
        "systemctl --user restart trident-eins.service",
    ]


def test_remove_stops_and_deletes(home: Path) -> None:
    systemctl = Systemctl()
    manager = Manager(False, systemctl)
    with pytest.raises(NotRunning):
        manager.remove("trident-eins.service")
    manager.install(unit())
    manager.remove("trident-eins.service")
    assert list(home.iterdir()) == []
    assert systemctl.told[-3:] == [
        "systemctl --user disable --now trident-eins.service",
        "systemctl --user daemon-reload",
        "systemctl --user reset-failed trident-eins.service",
    ]


def test_refusal_is_told_in_systemd_s_words(home: Path) -> None:
    manager = Manager(False, Systemctl(1, "", "Failed to connect to bus: No medium found\n"))
    with pytest.raises(EnvironmentBroken, match="No medium found"):
        manager.install(unit())
    assert home.is_dir()


def test_properties() -> None:
    found = Manager(True, Systemctl(0, "ActiveState=active\nMainPID=7\n")).properties("x")
    assert found == {"ActiveState": "active", "MainPID": "7"}
