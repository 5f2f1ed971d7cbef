"""One server for the whole run: real Triton, real vLLM on this machine's CPU, the demo model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from served import Served


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Served by two stubs for each contract, so that both the choice between them and their sum are exercised."""
    served = Served.plan(tmp_path_factory.mktemp("t"))
    started = served.serve("demo", "--stubs", "2", "--open-apis", "shared-memory")
    assert started.returncode == 0, started.stdout + started.stderr
    yield served
    stopped = served.trident("stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
