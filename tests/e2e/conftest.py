"""One server for the whole run: real Triton, real vLLM on this machine's CPU, the demo model."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Served, engines_whole

from trident.protocol.nursery import VARIABLE, Place


@pytest.fixture(scope="session", autouse=True)
def vllm_is_imported_once() -> Iterator[None]:
    """Servers of single tests get their engine host from a process that has imported vLLM, as those of ``trident tune``
    do: an import costs more than most of these tests."""
    with tempfile.TemporaryDirectory(prefix="trident-tests-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, Place(os.getpid(), Path(folder) / "nursery.sock").text)
        yield


@pytest.fixture(scope="module")
def engine_is_started_whole(vllm_is_imported_once: None) -> Iterator[None]:  # noqa: ARG001 - it comes first
    """For tests of how a server starts and ends, and of what is seen while its engine is away."""
    with engines_whole():
        yield


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory,
    vllm_is_imported_once: None,  # noqa: ARG001 - it comes first
) -> Iterator[Served]:
    """Started as users start it, with two stubs for each contract, so that both the choice between them and their sum
    are exercised."""
    served = Served.plan(tmp_path_factory.mktemp("t"))
    with engines_whole():
        started = served.serve("demo", "--stubs", "2", "--open-apis", "shared-memory")
    assert started.returncode == 0, started.stdout + started.stderr
    yield served
    stopped = served.trident("stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
