"""A tritonserver that is stopped is replaced; the engine stays."""

from __future__ import annotations

import os
import signal

import pytest
from served import Served

from hazards.hurt import child, pid_of, until, until_whole

pytestmark = pytest.mark.e2e

REPLACED_WITHIN_S = 5.0


def test_stopped_tritonserver_is_replaced(hurt: Served) -> None:
    host, restarts = pid_of(hurt, "engine host"), child(hurt, "tritonserver")["restarts"]
    os.kill(pid_of(hurt, "tritonserver"), signal.SIGSTOP)
    until(lambda: child(hurt, "tritonserver")["restarts"] == restarts + 1, REPLACED_WITHIN_S)
    until_whole(hurt)
    assert pid_of(hurt, "engine host") == host
