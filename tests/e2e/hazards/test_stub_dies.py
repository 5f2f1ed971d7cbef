"""A stub that dies takes its own requests with it and nothing else: tritonserver lives on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import httpx
import pytest
from served import Served

from hazards.hurt import Story, child, is_ready, pid_of, stubs_of, until, until_whole

pytestmark = pytest.mark.e2e

NOTICED_WITHIN_S = 1.0
UNREADY_WITHIN_S = 3.0
"""tritonserver polls each second; machines of tests are slow."""
STORIES = 6


def is_at_rest(pid: int) -> bool:
    """No thread works, so none is within a lock in shared memory: of a stub that is killed there tritonserver dies."""
    stats = [(task / "stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return all(stat.rpartition(")")[2].split()[0] == "S" for stat in stats)


def test_killed_stub_is_replaced_and_streams_of_the_other_run_to_their_end(hurt: Served) -> None:
    triton, mended = pid_of(hurt, "tritonserver"), child(hurt, "tritonserver")["mended"]
    before = stubs_of(hurt, "generate")
    stories = [Story(hurt) for _ in range(STORIES)]
    until(lambda: is_at_rest(min(before)))
    os.kill(min(before), signal.SIGKILL)
    until(lambda: child(hurt, "tritonserver")["phase"].startswith("degraded: its stub"), NOTICED_WITHIN_S)
    assert hurt.trident("status").returncode == 1
    until(lambda: not is_ready(hurt), UNREADY_WITHIN_S)
    until_whole(hurt)
    ends = [story.wait() for story in stories]
    finished = ends.count("finished")
    assert 0 < finished < STORIES, ends
    assert sum("closed" in end for end in ends) == STORIES - finished, ends
    assert pid_of(hurt, "tritonserver") == triton
    assert child(hurt, "tritonserver")["mended"] == mended + 1
    until(lambda: len(stubs_of(hurt, "generate")) == 2)
    assert not before & stubs_of(hurt, "generate"), "the old sibling has gone too"
    metrics = httpx.get(f"http://127.0.0.1:{hurt.metrics_port}/metrics").text
    assert f'trident_child_mended_total{{child="tritonserver"}} {mended + 1}.0' in metrics


def test_stopped_stub_is_replaced(hurt: Served) -> None:
    triton, mended = pid_of(hurt, "tritonserver"), child(hurt, "tritonserver")["mended"]
    os.kill(min(stubs_of(hurt, "generate")), signal.SIGSTOP)
    until(lambda: child(hurt, "tritonserver")["mended"] == mended + 1, 15)
    until_whole(hurt)
    assert pid_of(hurt, "tritonserver") == triton
