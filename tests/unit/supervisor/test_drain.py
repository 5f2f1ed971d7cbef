from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import supervisor_fakes as fakes

from trident.protocol import orders
from trident.supervisor.child import Child
from trident.supervisor.drain import AT_ONCE_S, drain


async def hosts(folder: Path, *kinds: str) -> list[Child]:
    started = [Child(fakes.host(folder, kind), lambda: None) for kind in kinds]
    for child in started:
        child.start()
        await child.wait_until_ready(10)
    return started


async def end(children: Sequence[Child]) -> None:
    for child in children:
        await child.stop(5, asyncio.Event())


def test_idle_hosts_are_drained_at_once_and_nobody_hears_of_a_wait(tmp_path: Path) -> None:
    async def scenario() -> None:
        both = await hosts(tmp_path, "idle", "idle")
        waits: list[str] = []
        await drain(both, orders.REFUSE, 30, asyncio.Event(), on_wait=lambda: waits.append("waits"))
        assert waits == []
        assert not any(host.is_ready or host.serves_stubs for host in both), "they refuse"
        await end(both)

    fakes.run(scenario())


def test_what_is_still_in_flight_is_expelled_after_the_limit(tmp_path: Path) -> None:
    async def scenario() -> None:
        both = await hosts(tmp_path, "idle", "busy")
        waits: list[str] = []
        begun_s = time.monotonic()
        await drain(both, orders.HAND_OVER, 0.5, asyncio.Event(), on_wait=lambda: waits.append("waits"))
        assert time.monotonic() - begun_s >= 0.5
        assert waits == ["waits"]
        assert all(host.drained.is_set() for host in both)
        assert all(host.is_ready for host in both), "what hands over still serves what it has"
        await end(both)

    fakes.run(scenario())


def test_limit_of_zero_expels_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        (busy,) = await hosts(tmp_path, "busy")
        await drain([busy], orders.REFUSE, 0, asyncio.Event(), on_wait=lambda: pytest.fail("there is no wait"))
        assert busy.drained.is_set()
        await end([busy])

    fakes.run(scenario())


def test_without_expelling_the_host_is_left_as_it_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        (busy,) = await hosts(tmp_path, "busy")
        await drain([busy], orders.REFUSE, 2 * AT_ONCE_S, asyncio.Event(), expels=False)
        assert not busy.drained.is_set()
        await end([busy])

    fakes.run(scenario())


def test_force_ends_the_wait(tmp_path: Path) -> None:
    async def scenario() -> None:
        (busy,) = await hosts(tmp_path, "busy")
        force = asyncio.Event()
        await drain([busy], orders.REFUSE, 60, force, on_wait=force.set)
        assert not busy.drained.is_set()
        await end([busy])

    fakes.run(scenario())


def test_host_that_ends_has_nothing_in_flight(tmp_path: Path) -> None:
    async def scenario() -> None:
        (busy,) = await hosts(tmp_path, "busy")
        draining = asyncio.ensure_future(drain([busy], orders.REFUSE, 60, asyncio.Event()))
        await end([busy])
        await draining

    fakes.run(scenario())
