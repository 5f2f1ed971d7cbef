"""Shows the supervisor that the host's event loop turns: a process that lives may have stopped, or be stuck."""

from __future__ import annotations

import asyncio

from trident.protocol import status


async def beat() -> None:
    """Beats until it is cancelled; the last beat says so, as ending the children takes a while without any."""
    try:
        while True:
            status.beat()
            await asyncio.sleep(status.BEAT_S)
    finally:
        status.beat(is_last=True)
