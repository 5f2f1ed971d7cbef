from __future__ import annotations

import os
import time
from pathlib import Path

import monitor_fakes as fakes
import psutil
import pytest

from trident.monitor.sources.openai_process import OpenAIProcess
from trident.supervisor.processes import Process, identify


def own() -> Process:
    found = identify(os.getpid())
    assert found is not None
    return found


def test_openai_server_is_measured_under_the_usual_names(tmp_path: Path) -> None:
    fakes.save_state(tmp_path, children=[fakes.child("engine host", own(), parts={"openai server": own()})])

    found = fakes.read(OpenAIProcess(tmp_path))

    of_host = (("child", "engine host"),)
    assert found["process_start_time_seconds"][of_host] == pytest.approx(
        psutil.Process().create_time(), abs=1.5
    )  # psutil rounds the boot
    assert 0 < found["process_cpu_seconds_total"][of_host] <= time.process_time() + 0.1
    assert found["process_resident_memory_bytes"][of_host] > 2**20
    assert 3 <= found["process_open_fds"][of_host] <= found["process_max_fds"][of_host]


def test_without_an_openai_server_there_is_nothing(tmp_path: Path) -> None:
    fakes.save_state(tmp_path, children=[fakes.child("engine host", own(), parts={"engine core": own()})])
    assert OpenAIProcess(tmp_path)._read() == ""
