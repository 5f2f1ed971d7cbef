"""Waiting for events within a time."""

from __future__ import annotations

import asyncio


async def first_of(*events: asyncio.Event, timeout_s: float | None) -> None:
    """Returns when one of them is set or the time is over. ``wait_for`` would, before Python 3.12, forget that it was
    cancelled in the moment in which its event came."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
