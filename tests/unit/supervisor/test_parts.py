from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import supervisor_fakes as fakes

from trident.supervisor import parts
from trident.supervisor.parts import Parts
from trident.supervisor.processes import Process, identify

Popen = subprocess.Popen[bytes]


@pytest.fixture
def part() -> Iterator[Popen]:
    """A child of this process, which asks how it ended only when it is told to."""
    with subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


def identified(process: Popen) -> Process:
    found = identify(process.pid)
    assert found is not None
    return found


async def first_crash(part: Popen, within_s: float = 5) -> str:
    found = {"stub 1": identified(part)}
    watched = Parts(0, lambda _: dict(found), lambda: None)

    async def first() -> str:
        async for name, process in watched.crashes():
            assert process.pid == part.pid
            assert watched.known == {}, "it is no part any more"
            return name
        raise AssertionError

    return await asyncio.wait_for(first(), within_s)


@pytest.mark.parametrize(
    ("number", "within_s"), [(signal.SIGSEGV, parts.ASKED_WITHIN_S + 1), (signal.SIGKILL, 1)], ids=["fault", "killed"]
)
def test_crash_is_seen_without_waiting_for_a_look(
    part: Popen, number: int, within_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault may be that of a stub which Triton ends, and will be waited for."""
    monkeypatch.setattr(parts, "LOOK_S", 60)

    async def scenario() -> None:
        crash = asyncio.ensure_future(first_crash(part))
        await asyncio.sleep(0)
        part.send_signal(number)
        begun_s = time.monotonic()
        assert await crash == "stub 1"
        assert time.monotonic() - begun_s < within_s

    fakes.run(scenario())


def test_part_that_is_waited_for_has_not_crashed(part: Popen) -> None:
    async def scenario() -> None:
        crash = asyncio.ensure_future(first_crash(part, within_s=0.5))
        await asyncio.sleep(0)
        part.kill()
        part.wait()
        with pytest.raises(asyncio.TimeoutError):
            await crash

    fakes.run(scenario())


def test_part_that_stays_stopped_is_killed(part: Popen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "LOOK_S", 0.05)

    async def scenario() -> None:
        os.kill(part.pid, signal.SIGSTOP)
        assert await first_crash(part) == "stub 1"

    fakes.run(scenario())


def test_how_a_zombie_has_ended_can_be_read(part: Popen) -> None:
    process = identified(part)
    assert process.wait_status() == 0
    part.send_signal(signal.SIGSEGV)
    fakes.run(fakes.until(process.is_zombie))
    assert os.WTERMSIG(process.wait_status()) == signal.SIGSEGV
