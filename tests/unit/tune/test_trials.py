"""Trials over real sockets: the load test is real, the server is one of known pace."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from paced import paced_server

from trident.bench.plan import Lengths, Load, Workload
from trident.errors import EngineStartFailed
from trident.tune import objective
from trident.tune.loading import Loading
from trident.tune.records import Step
from trident.tune.server import TrialServer, free_ports
from trident.tune.trials import Trials

WORKLOAD = Workload(input_tokens=Lengths(a=16), output_tokens=Lengths(a=8))


class Paced:
    """Serves at the pace of ``period_ms``; with ``max_num_seqs`` 13 it does not start."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.urls: dict[str, str] = {}
        self.is_running = False
        self.starts = 0

    def start(self, tables: Mapping[str, Any]) -> float:
        self.stop()
        if tables["engine"].get("max_num_seqs") == 13:
            raise EngineStartFailed("The engine did not start", "13 is unlucky", "take another")
        self.starts += 1
        self.urls = {"OpenAI": self._stack.enter_context(paced_server(ttft_ms=5.0, period_ms=2.0)) + "/v1"}
        self.is_running = True
        return 0.1

    def stop(self) -> None:
        self._stack.close()
        self.is_running = False


@pytest.fixture
def server() -> Iterator[Paced]:
    paced = Paced()
    yield paced
    paced.stop()


def trials(folder: Path, server: Paced, *, load: Load | None = None) -> Trials:
    loading = Loading(api="openai-chat", workload=WORKLOAD, look_s=0.3, measure_s=0.5, load=load, most_level=4)
    goal = objective.parse("goodput", ["ttft:1s"])
    return Trials(folder, server, loading, goal, lambda changes: {"engine": dict(changes)})


def test_look_climbs_and_the_run_goes_on_with_the_same_server(tmp_path: Path, server: Paced) -> None:
    runner = trials(tmp_path, server)
    look = runner.run(Step(purpose="base", changes={}, first_level=2))
    assert look.failure is None and look.start_s > 0
    assert {one.level for one in look.levels} >= {2.0, 4.0}
    assert look.best is not None and look.best.level == 4  # nothing slows this server down
    run = runner.run(Step(purpose="base", changes={}, level=4))
    (measured,) = run.levels
    assert (run.start_s, server.starts, len(measured.samples)) == (0.0, 1, 20)
    assert measured.score == pytest.approx(4 / 0.019, rel=0.4)  # four clients, 5 ms and seven gaps of 2 ms


def test_fresh_server_and_another_configuration_are_started(tmp_path: Path, server: Paced) -> None:
    load = Load(kind="closed", concurrency=2, warmup_requests=2)
    runner = trials(tmp_path, server, load=load)
    server.start({"engine": {}})
    runner._running = {}  # as if it had been started by this runner
    for changes, is_fresh in (({}, True), ({"max_num_seqs": 8}, False)):
        assert runner.run(Step(purpose="search", changes=changes, level=2, is_fresh=is_fresh)).failure is None
    assert server.starts == 3


def test_server_that_does_not_start_is_a_record(tmp_path: Path, server: Paced) -> None:
    record = trials(tmp_path, server).run(Step(purpose="search", changes={"max_num_seqs": 13}))
    assert record.failure == "The engine did not start: 13 is unlucky"
    assert not record.levels


def test_server_that_answers_nothing_is_a_record(tmp_path: Path, server: Paced) -> None:
    runner = trials(tmp_path, server)
    server.start({"engine": {}})
    server.urls = {"OpenAI": "http://127.0.0.1:9/v1"}
    runner._running = {}  # as if it had been started by this runner
    record = runner.run(Step(purpose="search", changes={}, level=1))
    assert record.failure is not None and "No server answers" in record.failure


def test_real_server_says_why_it_did_not_start(tmp_path: Path) -> None:
    """No engine is needed: the model is not there."""
    server = TrialServer(tmp_path, os.fspath(tmp_path / "no-model"), start_timeout_s=60)
    with pytest.raises(EngineStartFailed) as caught:
        server.start({"listen": free_ports()})
    server.close()
    assert "no-model" in str(caught.value)
    assert not server.is_running
