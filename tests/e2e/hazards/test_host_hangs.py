"""An engine host that is stopped or stuck looks alive; it is found, and started anew."""

from __future__ import annotations

import os
import signal
import time

import pytest
from served import Served

from hazards.hurt import child, is_ready, pid_of, until, until_whole

pytestmark = pytest.mark.e2e

UNREADY_WITHIN_S = 3.0
REPLACED_WITHIN_S = 5.0
SERVING_WITHIN_S = 2.0
"""After the engine is ready; 1 s is what it shall take, machines of tests are slow."""


def test_host_that_goes_on_is_forgiven(hurt: Served) -> None:
    host, restarts = pid_of(hurt, "engine host"), child(hurt, "engine host")["restarts"]
    os.kill(host, signal.SIGSTOP)
    until(lambda: child(hurt, "engine host")["phase"] == "degraded: the engine host's process is stopped", 1)
    until(lambda: not is_ready(hurt), UNREADY_WITHIN_S)
    os.kill(host, signal.SIGCONT)
    until_whole(hurt)
    assert (pid_of(hurt, "engine host"), child(hurt, "engine host")["restarts"]) == (host, restarts)


def test_host_that_stays_stopped_is_replaced_and_served_from_soon(hurt: Served) -> None:
    restarts = child(hurt, "engine host")["restarts"]
    os.kill(pid_of(hurt, "engine host"), signal.SIGSTOP)
    until(lambda: child(hurt, "engine host")["restarts"] == restarts + 1, REPLACED_WITHIN_S)
    assert "process is stopped, after serving" in child(hurt, "engine host")["last_death"]
    until(lambda: child(hurt, "engine host")["is_ready"])
    ready_s = time.monotonic()
    until(lambda: is_ready(hurt) and hurt.generate("The capital of France is").status_code == 200)
    assert time.monotonic() - ready_s < SERVING_WITHIN_S
    until_whole(hurt)
    assert "last killed: the engine host's process is stopped" in hurt.trident("status").stdout
