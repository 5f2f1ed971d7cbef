from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trident.config.monitor import Monitor
from trident.monitor.prometheus import files

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """Prometheus's, as it is by default; the rules lie beside it."""
    return files.write(tmp_path / "prometheus", Monitor(), files.Target("127.0.0.1", 8003))


@pytest.fixture
def rules(configuration: Path) -> Path:
    return configuration.with_name(files.RULES)
