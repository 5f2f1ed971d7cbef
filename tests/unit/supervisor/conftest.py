from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIDENT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("TRIDENT_DATA_DIR", str(tmp_path / "data"))
