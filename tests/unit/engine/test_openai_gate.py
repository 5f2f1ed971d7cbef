from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from trident.engine.openai_gate import Bounds, Busy, Gate, Gone

LIMIT_S = 10.0


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, LIMIT_S))


def never() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - the limit is the scenario's
        await asyncio.sleep(0)


async def waiting(gate: Gate, client: str, order: list[str]) -> asyncio.Task[None]:
    """A request that stands in the queue by now."""

    async def enter() -> None:
        await gate.enter(client, never())
        order.append(client)

    task = asyncio.ensure_future(enter())
    await asyncio.sleep(0)
    return task


def test_places_are_taken_by_turns_of_clients() -> None:
    async def scenario() -> None:
        gate, order = Gate(Bounds(1, 10, 60)), list[str]()
        assert gate.try_enter()
        tasks = [await waiting(gate, client, order) for client in ("a", "a", "a", "a", "b", "b", "c")]
        for _ in tasks:
            assert not gate.try_enter()
            had = len(order)
            gate.leave()
            await until(lambda had=had: len(order) > had)  # type: ignore[misc]
        assert order == ["a", "b", "c", "a", "b", "a", "a"]
        gate.leave()
        assert gate.try_enter() and gate.queued == 0

    run(scenario())


def test_request_beyond_the_queue_is_told_when_to_come_back() -> None:
    async def scenario() -> None:
        gate = Gate(Bounds(1, 1, 60))
        assert gate.try_enter()
        task = await waiting(gate, "a", [])
        with pytest.raises(Busy, match="1 requests wait already") as caught:
            await gate.enter("a", never())
        assert caught.value.retry_after_s >= 1
        gate.leave()
        await task

    run(scenario())


def test_full_queue_makes_room_for_a_client_with_less_in_it() -> None:
    async def scenario() -> None:
        gate, order = Gate(Bounds(1, 3, 60)), list[str]()
        assert gate.try_enter()
        hog = [await waiting(gate, "hog", order) for _ in range(3)]
        modest = await waiting(gate, "modest", order)
        with pytest.raises(Busy, match="sent less"):
            await hog[2]
        with pytest.raises(Busy):
            await gate.enter("modest", never())  # then it would be the one with more
        for _ in range(3):
            gate.leave()
            await asyncio.sleep(0)
        await asyncio.gather(*hog[:2], modest)
        assert order == ["hog", "modest", "hog"]

    run(scenario())


def test_wait_ends_in_time() -> None:
    async def scenario() -> None:
        gate = Gate(Bounds(1, 1, 0.01))
        assert gate.try_enter()
        with pytest.raises(Busy, match=r"waited for 0\.01 s"):
            await gate.enter("a", never())
        assert gate.queued == 0
        gate.leave()
        assert gate.try_enter()

    run(scenario())


@pytest.mark.parametrize("was_let_in", [False, True])
def test_client_that_leaves_gives_its_place_back(was_let_in: bool) -> None:
    async def scenario() -> None:
        gate, gone = Gate(Bounds(1, 1, 60)), never()
        assert gate.try_enter()
        task = asyncio.ensure_future(gate.enter("a", gone))
        await until(lambda: gate.queued)
        if was_let_in:
            gate.leave()
        gone.set_result(None)
        with pytest.raises(Gone):
            await task
        if not was_let_in:
            gate.leave()
        assert gate.queued == 0 and gate.try_enter()

    run(scenario())


@pytest.mark.parametrize("was_let_in", [False, True])
def test_cancelled_request_gives_its_place_back(was_let_in: bool) -> None:
    async def scenario() -> None:
        gate = Gate(Bounds(1, 1, 60))
        assert gate.try_enter()
        task = await waiting(gate, "a", [])
        if was_let_in:
            gate.leave()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if not was_let_in:
            gate.leave()
        assert gate.queued == 0 and gate.try_enter()

    run(scenario())
