"""What long work says about itself while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Phase = Literal["wait", "check", "python", "torch", "packages", "verify", "done"]


@dataclass(frozen=True)
class Progress:
    """One moment of an installation.

    ``done`` and ``total`` count packages and are 0 while unknown; ``bytes`` is what uv has announced for download so
    far in this phase (it announces packages of 1 MiB and more).
    """

    phase: Phase
    detail: str
    done: int = 0
    total: int = 0
    bytes: int = 0


Report = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """A report that nobody reads."""
