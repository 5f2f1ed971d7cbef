from __future__ import annotations

import subprocess
import sys

import pytest

# In a process of its own: a limit of this one would hold for all tests.
ASK = """
import resource
from trident.supervisor import open_files
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
open_files.allow_many()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("soft", "hard", "after"), [(256, 2000, "2000 2000"), (1500, 1500, "1500 1500")])
def test_limit_is_raised_to_what_is_allowed(soft: int, hard: int, after: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(soft=soft, hard=hard)], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == after
