from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator

import pytest

from trident.engine import drain
from trident.engine.drain import Drain
from trident.engine.openai_exit import Exit
from trident.protocol import orders, status


class Relay:
    def __init__(self) -> None:
        self.in_flight = 0
        self.told: list[str] = []

    def leave(self, why: str) -> None:
        self.told.append(f"leave: {why}")

    def expel(self, why: str) -> int:
        self.told.append(f"expel: {why}")
        return 0


class Site:
    """A host; its OpenAI server obeys when a test says so."""

    def __init__(self, pipe: int) -> None:
        self.relay, self.exit = Relay(), Exit()
        self.has_work = False
        self._pipe = pipe
        Drain(self.relay, self.exit, self._works, self._abort).attend(asyncio.get_running_loop())

    def obey(self) -> None:
        self.exit.attend(lambda _order: None)

    async def is_drained(self, within_s: float) -> bool:
        with_end = asyncio.get_running_loop().time() + within_s
        while asyncio.get_running_loop().time() < with_end:
            try:
                return status.parse(os.read(self._pipe, 4096)) == status.Drained()
            except BlockingIOError:
                await asyncio.sleep(0.01)
        return False

    async def _works(self) -> bool:
        return self.has_work

    async def _abort(self) -> None:
        self.has_work = False


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[Site], Awaitable[None]]], None]]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    monkeypatch.setenv(status.FD_VARIABLE, str(writing))
    monkeypatch.setattr(drain, "QUIET_S", 0.2)

    def run(scenario: Callable[[Site], Awaitable[None]]) -> None:
        async def whole() -> None:
            await scenario(Site(reading))

        asyncio.run(asyncio.wait_for(whole(), 10))

    yield run
    os.close(reading)
    os.close(writing)


Play = Callable[[Callable[[Site], Awaitable[None]]], None]


@pytest.mark.parametrize("order", [orders.REFUSE, orders.HAND_OVER])
def test_host_is_drained_only_after_its_openai_server_has_obeyed(play: Play, order: signal.Signals) -> None:
    async def scenario(site: Site) -> None:
        os.kill(os.getpid(), order)
        assert not await site.is_drained(0.5), "until it obeys it lets requests in"
        site.obey()
        assert await site.is_drained(2)

    play(scenario)


def test_server_that_never_obeys_is_not_waited_for(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "OBEY_WITHIN_S", 0.2)

    async def scenario(site: Site) -> None:
        os.kill(os.getpid(), orders.REFUSE)
        assert await site.is_drained(2)
        assert len(site.relay.told) == 1

    play(scenario)


def test_what_comes_just_after_handing_over_is_finished(play: Play) -> None:
    async def scenario(site: Site) -> None:
        site.obey()
        os.kill(os.getpid(), orders.HAND_OVER)
        await asyncio.sleep(0.1)
        site.relay.in_flight = 1
        assert not await site.is_drained(0.5)
        site.relay.in_flight = 0
        assert await site.is_drained(2)
        assert site.relay.told == [], "new ones are still served: somebody may have connected before"

    play(scenario)


def test_expelled_host_is_drained_when_the_engine_has_let_go(play: Play) -> None:
    async def scenario(site: Site) -> None:
        site.obey()
        site.has_work = True
        os.kill(os.getpid(), orders.EXPEL)
        assert await site.is_drained(2)
        assert site.relay.told[0].startswith("expel")

    play(scenario)
