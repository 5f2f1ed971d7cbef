from __future__ import annotations

from pathlib import Path

import monitor_fakes as fakes
import pytest

from trident.monitor.sources.server import Server
from trident.supervisor.state import ServerPhase


class Clock:
    def __init__(self) -> None:
        self.now_s = 5000.0

    def __call__(self) -> float:
        return self.now_s


def outage_s(source: Server) -> float:
    return fakes.read(source)["trident_server_outage_seconds_total"][()]


def test_server_that_serves_is_ready(tmp_path: Path) -> None:
    fakes.save_state(tmp_path)

    found = fakes.read(Server(tmp_path))

    assert found["trident_server_ready"][()] == 1
    assert found["trident_server_phase"][(("phase", "ready"),)] == 1
    assert found["trident_server_phase"][(("phase", "degraded"),)] == 0
    assert found["trident_server_start_time_seconds"][()] == 1000
    labels = (("triton", "0.7.0"), ("version", "0.1.0"), ("vllm", "0.32.0 (cpu)"))
    assert found["trident_build_info"] == {labels: 1}


def test_outage_counts_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    clock = Clock()
    fakes.save_state(tmp_path, since=4000)
    source = Server(tmp_path, clock)
    assert outage_s(source) == 0

    clock.now_s = 5010
    fakes.save_state(tmp_path, "degraded", [fakes.child("engine host", is_ready=False)], since=5004)
    assert outage_s(source) == 6
    clock.now_s = 5012
    assert outage_s(source) == 8

    clock.now_s = 5020
    fakes.save_state(tmp_path, "ready", since=5015)
    assert outage_s(source) == 11
    clock.now_s = 5030
    assert outage_s(source) == 11


@pytest.mark.parametrize("phase", ["starting", "draining", "stopping", "stopped"])
def test_what_a_user_has_asked_for_is_no_outage(tmp_path: Path, phase: ServerPhase) -> None:
    clock = Clock()
    source = Server(tmp_path, clock)
    fakes.save_state(tmp_path, phase, [fakes.child("engine host", is_ready=False)], since=5000)
    outage_s(source)
    clock.now_s = 5100

    assert outage_s(source) == 0
    assert fakes.read(source)["trident_server_ready"][()] == 0


def test_requests_are_answered_without_the_metrics_server(tmp_path: Path) -> None:
    clock = Clock()
    source = Server(tmp_path, clock)
    children = [fakes.child("engine host"), fakes.child("metrics server", is_ready=False)]
    fakes.save_state(tmp_path, "degraded", children, since=5000)
    clock.now_s = 5100

    assert outage_s(source) == 0


def test_killed_supervisor_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fakes.save_state(tmp_path)
    monkeypatch.setattr("trident.supervisor.state.ServerState.is_running", lambda _: False)

    found = fakes.read(Server(tmp_path))

    assert found["trident_server_ready"][()] == 0
    assert found["trident_server_phase"][(("phase", "failed"),)] == 1
