from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from installation import Installation

from trident.runtime import hardware


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """A healthy one, in folders and on ports of its own, on a machine without a GPU."""
    for variable in ("TRIDENT_CONFIG", "HF_TOKEN", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(hardware, "DRIVER_MARKS", ())
    made = Installation.make(tmp_path)
    monkeypatch.setenv("TRIDENT_DATA_DIR", str(made.data_dir))
    monkeypatch.setenv("TRIDENT_STATE_DIR", str(made.state_dir))
    monkeypatch.chdir(tmp_path)
    yield made
    made.close()
