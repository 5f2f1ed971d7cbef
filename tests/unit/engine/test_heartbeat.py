from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable

from trident.engine.heartbeat import Heartbeat

DEADLINE_S = 10.0


def scenario(pid: int, ask: Callable[[], asyncio.Future[bool]], then: Callable[[str | None], None]) -> str:
    """Why the engine was lost."""

    async def run() -> str:
        heartbeat = Heartbeat(pid, ask, lambda _: 0, lambda _: None, then, lambda: False)
        return await asyncio.wait_for(heartbeat.until_lost(0.01, 60), DEADLINE_S)

    return asyncio.run(run())


def test_stopped_engine_is_suspected_forgiven_and_lost_at_last() -> None:
    said: list[str | None] = []
    pending: list[asyncio.Future[bool]] = []
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as engine:

        def ask() -> asyncio.Future[bool]:
            pending.append(asyncio.get_running_loop().create_future())
            return pending[-1]

        def then(why: str | None) -> None:
            said.append(why)
            if said == ["the engine's process is stopped"]:
                pending[-1].set_result(False)

        os.kill(engine.pid, signal.SIGSTOP)
        try:
            assert scenario(engine.pid, ask, then) == "the engine's process is stopped"
        finally:
            engine.kill()
    assert said == ["the engine's process is stopped", None, "the engine's process is stopped"]
