"""A part of the exporter's page."""

from __future__ import annotations

from typing import Protocol


class SourceFailed(Exception):
    """A source has nothing to say now, and why."""


class Source(Protocol):
    """``name`` is the value of the label ``source``."""

    @property
    def name(self) -> str: ...

    async def read(self) -> str:
        """Whole families in Prometheus's text format 0.0.4; empty where there is nothing to see on this machine. Raises
        SourceFailed or OSError; the caller has a deadline."""
