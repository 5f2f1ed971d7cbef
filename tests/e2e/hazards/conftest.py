"""One server for the hazards that the supervisor has to heal: every test leaves it whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from served import Served, engines_whole


@pytest.fixture(scope="package", autouse=True)
def engines_are_started_whole(vllm_is_imported_once: None) -> Iterator[None]:  # noqa: ARG001 - it comes first
    """What heals must not depend on a process that only the tests have."""
    with engines_whole():
        yield


@pytest.fixture(scope="package")
def hurt(
    tmp_path_factory: pytest.TempPathFactory,
    engines_are_started_whole: None,  # noqa: ARG001 - it comes first
) -> Iterator[Served]:
    """Two stubs for each contract: one may die while the other goes on."""
    served = Served.plan(tmp_path_factory.mktemp("h"))
    started = served.serve("demo", "--stubs", "2")
    assert started.returncode == 0, started.stdout + started.stderr
    yield served
    stopped = served.trident("stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
