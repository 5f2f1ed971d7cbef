from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import monitor_fakes as fakes
import pytest

from trident.monitor.sources.child_names import OTHER, ChildNames, owner
from trident.monitor.sources.processes import Processes
from trident.supervisor.processes import Process, identify


@pytest.fixture
def other() -> Iterator[Process]:
    with subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"]) as process:
        found = identify(process.pid)
        assert found is not None
        yield found
        process.kill()


def test_every_process_of_the_server_is_named(tmp_path: Path, other: Process) -> None:
    fakes.save_state(tmp_path, children=[fakes.child("tritonserver", other, parts={"engine core": other})])

    found = fakes.read(Processes(tmp_path))

    assert set(found["trident_process_cpu_seconds_total"]) == {
        (("child", "supervisor"),),
        (("child", "tritonserver"),),
        (("child", "engine core"),),
    }
    assert found["trident_process_resident_memory_bytes"][(("child", "tritonserver"),)] > 2**20
    assert found["trident_process_open_fds"][(("child", "tritonserver"),)] >= 3
    assert found["trident_process_threads"][(("child", "tritonserver"),)] == 1


def test_another_process_under_a_reused_pid_is_not_shown(tmp_path: Path, other: Process) -> None:
    fakes.save_state(tmp_path, children=[fakes.child("tritonserver", Process(other.pid, other.started_ticks - 1))])

    assert (("child", "tritonserver"),) not in fakes.read(Processes(tmp_path))["trident_process_threads"]


def test_monitor_shows_itself_without_a_server(tmp_path: Path) -> None:
    assert set(fakes.read(Processes(tmp_path))["trident_process_threads"]) == {(("child", "monitor"),)}


def test_stubs_are_named_after_their_models(tmp_path: Path, other: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    own = fakes.own_process()
    models = {own: "generate", other: "qwen3_vllm"}
    monkeypatch.setattr("trident.supervisor.stubs.model_of", models.get)
    fakes.save_state(tmp_path, children=[fakes.child("tritonserver", own, parts={"stub 1": other, "stub 2": own})])

    named = ChildNames(tmp_path).processes()

    assert named["qwen3_vllm stub 1"] == other
    assert named["generate stub 1"] == own


def test_memory_of_a_worker_belongs_to_the_child_that_started_it(other: Process) -> None:
    own = fakes.own_process()

    assert owner(other.pid, {own.pid: "engine core"}) == "engine core"
    assert owner(other.pid, {other.pid: "engine core", own.pid: "supervisor"}) == "engine core"
    assert owner(1, {own.pid: "supervisor"}) == OTHER
    assert owner(2**22 + 1, {own.pid: "supervisor"}) == OTHER
