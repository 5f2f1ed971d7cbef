from __future__ import annotations

import asyncio

import pytest

from trident.protocol.patience import within


def test_result_and_failure_are_passed_on() -> None:
    async def good() -> int:
        return 7

    async def bad() -> None:
        raise OSError("no")

    assert asyncio.run(within(1, good())) == 7
    with pytest.raises(OSError, match="no"):
        asyncio.run(within(1, bad()))


def test_work_that_takes_too_long_is_cancelled() -> None:
    async def scenario() -> bool:
        ended = asyncio.Event()

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        with pytest.raises(asyncio.TimeoutError):
            await within(0.01, work())
        return ended.is_set()

    assert asyncio.run(scenario())


def test_cancellation_that_comes_with_the_result_is_not_overlooked() -> None:
    async def scenario() -> None:
        arrived = asyncio.Event()
        task = asyncio.ensure_future(within(60, arrived.wait()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        arrived.set()
        await asyncio.sleep(0)  # the inner task is done now, and the outer does not know it yet
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
