"""Who counts what an admission does."""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """Its methods are called as things happen, and must be quick."""

    def queue(self, requests: int, tokens: int) -> None:
        """What waits now."""

    def waited(self, wait_s: float) -> None:
        """A request has been handed over."""

    def refused(self, reason: str, requests: int = 1) -> None:
        """Requests have been sent away."""
