from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def prometheus_program() -> str:
    """Skips the test where there is none; on a CI machine that is a failure."""
    program = shutil.which("prometheus")
    if program is None:
        reason = "Prometheus is not installed (apt-get install prometheus)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return program
