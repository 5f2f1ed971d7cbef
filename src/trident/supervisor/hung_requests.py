"""Ends the connections of requests that a dead stub has left in tritonserver, and of no others.

From outside a connection whose request hangs looks like one whose request takes long. They are told apart by time: once
every request in flight that is as old as the death has ended, a connection that has brought nothing since waits for
an answer that never comes, or for nothing. How many there must be is known, as stubs count what they have, and when
they came: only when some are still missing a gRPC connection is closed on which other requests live.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time

from trident.supervisor import connections
from trident.supervisor.connections import Connection
from trident.supervisor.in_flight import Buried, InFlight

log = logging.getLogger(__name__)

LOOK_S = 0.5
SETTLE_S = 1.5
"""What had come to tritonserver before the death has reached its stub, and what a stub had ended has been sent on."""
LONGEST_S = 60.0
"""With an engine that serves; while there is none, requests of living stubs wait for it."""


IDLE_S = 1.5
"""A stream may pause between two tokens."""
LONG_IDLE_S = 3.5
"""Longer than it takes to see that a stub is stopped, which has sent nothing since."""
ARRIVAL_S = 0.25
"""A request has reached its stub this much later than tritonserver at most."""
GRPC_PING_S = 10.0
"""Both sides may ping a gRPC connection as often as tritonserver is told to (``triton.command``)."""
PING_BYTES = 17
"""An HTTP/2 PING, or its answer (RFC 9113, 6.7)."""


class HungRequests:
    """Of one stub of ``triton_pid`` that has died now, and what it had in flight is ``buried``."""

    def __init__(self, triton_pid: int, http_port: int, grpc_port: int, in_flight: InFlight, buried: Buried) -> None:
        """Raises OSError when the system does not let us see connections."""
        self._pid = triton_pid
        self._http_port = http_port
        self._ports = {http_port, grpc_port}
        self._in_flight = in_flight
        self._missing = buried.requests
        self._begun_s = buried.begun_s
        self._before = {one.cookie: one for one in connections.of(triton_pid, self._ports)}
        self._are_idle_closed = False
        self._settled: dict[int, Connection] = {}
        self._settled_s = 0.0

    async def end(self, stub_pids: set[int]) -> None:
        """Returns when all are closed and none of ``stub_pids`` has a request in flight. Call it when neither these nor
        the dead stub get new requests."""
        await self._settle()
        highest = {pid: held.highest for pid, held in self._in_flight.now().items()}
        waited_s, were_old_over = 0.0, False
        while True:
            requests = self._in_flight.now()
            are_old_over = not any(held.lowest <= highest.get(pid, -1) for pid, held in requests.items())
            is_late = waited_s >= LONGEST_S
            # Twice: what has just ended in a stub is still on its way through tritonserver.
            if self._in_flight.moves and (is_late or (are_old_over and were_old_over)):
                await self._close(are_old_over=are_old_over, are_all_over=not requests, is_late=is_late)
            if not stub_pids & requests.keys() and not self._before:
                return
            were_old_over = are_old_over
            await asyncio.sleep(LOOK_S)
            waited_s += LOOK_S if self._in_flight.moves else 0.0

    async def _settle(self) -> None:
        known_s = time.monotonic()
        while time.monotonic() - known_s < SETTLE_S:
            await asyncio.sleep(LOOK_S / 2)
            if not self._in_flight.moves:
                known_s = time.monotonic()
        self._settled, self._settled_s = {one.cookie: one for one in await self._left()}, time.monotonic()

    async def _left(self) -> list[Connection]:
        """Those from before the death that are still open."""
        try:
            now = await asyncio.to_thread(connections.of, self._pid, self._ports)
        except OSError:
            now = []  # tritonserver has ended
        left = [one for one in now if one.cookie in self._before]
        self._before = {one.cookie: self._before[one.cookie] for one in left}
        return left

    async def _close(self, **when: bool) -> None:
        closed = 0
        # The silent ones first: when they are as many as there must be, the others are spared.
        left = sorted(await self._left(), key=self._is_silent, reverse=True)
        if not self._are_idle_closed:
            # Those which nobody waits for a look before the others: the client of one that hung asks again at once, by
            # any connection of which it does not know yet that it is closed.
            self._are_idle_closed = True
            idle = [one for one in left if self._is_silent(one) and self._was_idle(one, LONG_IDLE_S)]
            left = idle or left
        for one in left:
            is_hung = self._is_hung(one, **when)
            if is_hung is None:
                continue
            if is_hung:
                try:
                    if not connections.shut(self._pid, one):
                        continue  # it has brought something a moment ago: looked at again
                except OSError as error:
                    log.error("a connection cannot be closed: %s", error)
                closed += 1
                self._missing -= not self._was_idle(one, IDLE_S)
            del self._before[one.cookie]
        if closed:
            log.warning("%d connections are closed that waited for a dead stub, or for nothing", closed)

    def _is_hung(self, one: Connection, *, are_old_over: bool, are_all_over: bool, is_late: bool) -> bool | None:
        """None: that cannot be said yet."""
        if self._is_silent(one):
            return True
        if one.port == self._http_port:
            # It has brought another request, so the one before has been answered; or it is, or has been, answered now.
            has_brought = one.received_bytes != self._before[one.cookie].received_bytes
            return False if has_brought or are_old_over else None
        if self._missing <= 0:
            return False
        # One gRPC connection carries many streams, and nobody outside sees whether one of them hangs.
        return True if are_all_over or (is_late and are_old_over) else None

    def _is_silent(self, one: Connection) -> bool:
        """It has brought nothing since the death, and got nothing since all had settled."""
        received = one.received_bytes - self._before[one.cookie].received_bytes
        sent = one.sent_bytes - self._settled.get(one.cookie, one).sent_bytes
        if one.port == self._http_port:
            return received == sent == 0
        pings = 2 * (1 + math.ceil((time.monotonic() - self._settled_s) / GRPC_PING_S))
        return max(received, sent) <= pings * PING_BYTES

    def _was_idle(self, one: Connection, idle_s: float) -> bool:
        """Its last request had been answered for so long when the stub died."""
        before = self._before[one.cookie]
        if before.answered_s <= idle_s or one.port == self._http_port:
            return before.answered_s > idle_s
        # Over gRPC tritonserver answers the request's packets before the request, and pings: what waits looks answered.
        quiet_since_s = before.seen_s - before.answered_s
        late_s = [quiet_since_s - at_s + ARRIVAL_S for at_s in self._begun_s]
        return not any(late >= 0 and late % GRPC_PING_S < 2 * ARRIVAL_S for late in late_s)
