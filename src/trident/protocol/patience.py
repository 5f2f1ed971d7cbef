"""Waiting with a deadline, in either environment."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def within(timeout_s: float, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is cancelled when it takes longer. Raises asyncio.TimeoutError.

    ``asyncio.wait_for`` overlooks a cancellation that comes with the result (python/cpython#86296, until 3.12): then
    a task that waits in a loop goes on for ever, and whoever waits for its end too. Seen in an engine host.
    """
    task = asyncio.ensure_future(work)
    try:
        if not (await asyncio.wait({task}, timeout=timeout_s))[0]:
            raise asyncio.TimeoutError
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
