from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
import supervisor_fakes as fakes

from trident.supervisor.vigil import OF_STARTS, Patience, Vigil

QUICK = Patience(overdue_s=0.3, busy_s=1.0, ending_s=0.5)


@pytest.fixture
def idle() -> Iterator[int]:
    yield from running("import time; time.sleep(60)")


@pytest.fixture
def busy() -> Iterator[int]:
    yield from running("while True: pass")


def running(body: str) -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-S", "-c", body]) as process:
        yield process.pid
        process.kill()


class Watched:
    """A vigil and what it has said."""

    def __init__(self, pid: int, patience: Patience = QUICK) -> None:
        self.said: list[str | None] = []
        self.vigil = Vigil(pid, "the child", self.said.append)
        self.vigil.expect(patience)

    async def lost(self, within_s: float) -> str | None:
        with suppress(asyncio.TimeoutError):
            return await asyncio.wait_for(self.vigil.until_lost(), within_s)
        return None


def test_idle_child_without_a_sign_of_life_is_suspected_and_lost(idle: int) -> None:
    async def scenario() -> None:
        watched = Watched(idle, Patience(overdue_s=0.3, busy_s=60))
        begun_s = time.monotonic()
        assert await watched.lost(8) == "the child answers nothing and does nothing"
        assert time.monotonic() - begun_s < 5
        assert watched.said == ["the child answers nothing and does nothing"]

    fakes.run(scenario())


def test_stopped_child_is_suspected_at_once_and_forgiven_when_it_goes_on(idle: int) -> None:
    async def scenario() -> None:
        watched = Watched(idle, Patience(overdue_s=60, busy_s=60))
        os.kill(idle, signal.SIGSTOP)
        assert await watched.lost(1) is None
        assert watched.said == ["the child's process is stopped"]
        os.kill(idle, signal.SIGCONT)
        watched.vigil.alive()
        assert await watched.lost(0.5) is None
        assert watched.said == ["the child's process is stopped", None]

    fakes.run(scenario())


def test_busy_child_gets_longer(busy: int) -> None:
    async def scenario() -> None:
        watched = Watched(busy)
        assert await watched.lost(1) is None and watched.said == []
        assert await watched.lost(3) == "the child has not answered for 1 s"

    fakes.run(scenario())


def test_child_that_shows_life_is_left_alone(idle: int) -> None:
    async def scenario() -> None:
        watched = Watched(idle, Patience(overdue_s=1.5, busy_s=60))

        async def is_answering() -> bool:
            return True

        asking = asyncio.ensure_future(watched.vigil.keep_asking(is_answering))
        assert await watched.lost(3) is None and watched.said == []
        asking.cancel()

    fakes.run(scenario())


def test_child_that_has_said_its_last_must_end(idle: int) -> None:
    async def scenario() -> None:
        watched = Watched(idle)
        watched.vigil.alive(is_last=True)
        assert await watched.lost(3) == "the child has not ended after 0.5 s"
        assert watched.said == []

    fakes.run(scenario())


def test_child_that_starts_may_be_silent_but_not_stopped(idle: int) -> None:
    async def scenario() -> None:
        watched = Watched(idle, OF_STARTS)
        assert await watched.lost(1.5) is None and watched.said == []
        os.kill(idle, signal.SIGSTOP)
        assert await watched.lost(5) == "the child's process is stopped"

    fakes.run(scenario())


def test_child_that_was_stopped_for_a_moment_while_it_started_is_forgiven(idle: int) -> None:
    async def scenario() -> None:
        watched = Watched(idle, OF_STARTS)
        os.kill(idle, signal.SIGSTOP)
        assert await watched.lost(0.5) is None
        os.kill(idle, signal.SIGCONT)
        assert await watched.lost(0.5) is None
        assert watched.said == ["the child's process is stopped", None]

    fakes.run(scenario())
