"""Requests on an absolute schedule, whatever the server does: what is late is sent at once and its lateness counted."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trident.bench.quota import Quota
from trident.bench.sender import Sender
from trident.bench.timer import Timer


async def run(
    sender: Sender,
    quota: Quota,
    *,
    schedule_ns: NDArray[np.int64],
    start_ns: int,
    last: str,
    waker: asyncio.Event,
) -> None:
    """``schedule_ns`` from the start, rising; when it is used up the sending ends with the reason ``last``. Who sets
    ``waker`` makes it look at the quota at once."""
    timer = Timer(start_ns, 0, lambda _: waker.set())
    tasks: set[asyncio.Future[Any]] = set()
    try:
        for offset_ns in schedule_ns.tolist():
            due_ns = start_ns + offset_ns
            while time.perf_counter_ns() < due_ns and not quota.is_over:
                waker.clear()
                timer.set(due_ns)
                await waker.wait()
            if quota.is_over:
                break
            task: asyncio.Future[Any] = asyncio.ensure_future(sender.converse(sender.next_talk(), due_ns))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.sleep(0)  # the last one asks for its permission before there are no more
        quota.end(last)
        if tasks:
            await asyncio.gather(*tasks)
    finally:
        timer.close()
        for left in tasks:
            left.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
