"""Refusals of an overloaded host that hold for a moment, so that the next requests need not go there to hear them."""

from __future__ import annotations

from typing import NamedTuple

from trident.protocol.messages import Rejected

MOST_CLIENTS = 1000
"""Clients choose their names."""


class Overloaded(Exception):
    """The request is refused as it comes; the message is for the client."""


class _Held(NamedTuple):
    priority: int
    until_s: float
    message: str


class Refusals:
    """By host and client. Written by the thread that hears the hosts, read by the one that submits."""

    def __init__(self) -> None:
        self._held: dict[tuple[int, str], _Held] = {}

    def __bool__(self) -> bool:
        """There were some; without any, nobody need look for one."""
        return bool(self._held)

    def hear(self, host: int, client: str, priority: int, rejected: Rejected, now_s: float) -> None:
        """Remembers it for as long as it says."""
        if rejected.holds_s <= 0:
            return
        if len(self._held) >= MOST_CLIENTS:
            self._held = {key: held for key, held in self._held.items() if held.until_s > now_s}
        if len(self._held) < MOST_CLIENTS:
            self._held[host, client] = _Held(priority, now_s + rejected.holds_s, rejected.message)

    def standing(self, host: int, client: str, priority: int, now_s: float) -> str | None:
        """What one that comes now would be told."""
        held = self._held.get((host, client))
        # A smaller number is more urgent, and might be let in.
        return held.message if held is not None and now_s < held.until_s and priority >= held.priority else None
