from __future__ import annotations

import sys
from pathlib import Path

import pytest

STAND_IN = Path(__file__).with_name("stand_in.py")


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIDENT_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """A folder as Grafana's archive makes it, with the stand-in for the program."""
    folder = tmp_path / "grafana-v11.6.0"
    program = folder / "bin" / "grafana"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!{sys.executable} -S\nimport runpy\nrunpy.run_path({str(STAND_IN)!r}, run_name='__main__')\n")
    program.chmod(0o755)
    (folder / "conf").mkdir()
    (folder / "conf" / "defaults.ini").touch()
    return folder
