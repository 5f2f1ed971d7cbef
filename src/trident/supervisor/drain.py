"""Engine hosts leave service: what is in flight gets time to finish, and then ends with an error."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Sequence

from trident.protocol import orders
from trident.supervisor.child import Child

log = logging.getLogger(__name__)

AT_ONCE_S = 0.15
"""A host with nothing in flight says so within this time."""
EXPEL_S = 2.0
"""For the errors to reach their clients."""


async def drain(
    hosts: Sequence[Child],
    order: signal.Signals,
    limit_s: float,
    force: asyncio.Event,
    *,
    on_wait: Callable[[], None] = lambda: None,
    expels: bool = True,
) -> None:
    """Returns when nothing is in flight at ``hosts`` any more, and at the latest ``EXPEL_S`` after ``limit_s``, or when
    ``force`` is set.

    ``order`` is ``orders.REFUSE`` or ``orders.HAND_OVER``. ``on_wait`` is called when there is something to wait for.
    With ``expels`` false, what is not finished by then is left as it is.
    """
    for host in hosts:
        host.order(order)
    if await _drained(hosts, min(AT_ONCE_S, limit_s), force):
        return
    if limit_s:
        on_wait()
    if await _drained(hosts, limit_s, force) or not expels:
        return
    for host in hosts:
        if not host.drained.is_set():
            log.warning("what %s still works on after %g s ends with an error", host.command.name, limit_s)
            host.order(orders.EXPEL)
    await _drained(hosts, EXPEL_S, force)


async def _drained(hosts: Sequence[Child], timeout_s: float, force: asyncio.Event) -> bool:
    """All of them, or nobody waits any more."""
    forced = asyncio.ensure_future(force.wait())
    everybody = asyncio.ensure_future(_all(hosts))
    try:
        await asyncio.wait((forced, everybody), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        return everybody.done() or forced.done()
    finally:
        forced.cancel()
        everybody.cancel()
        await asyncio.gather(forced, everybody, return_exceptions=True)


async def _all(hosts: Sequence[Child]) -> bool:
    for host in hosts:
        await host.drained.wait()
    return True
