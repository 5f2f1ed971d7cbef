"""What there is to know of a load generator that we run: its command, its output, its definitions."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec

from trident.bench.engines.crosscheck import Theirs
from trident.bench.exchange import Ask
from trident.bench.plan import Load, Target, Workload


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One load level for a tool. ``folder`` is its own to write in; ``python`` is of the environment that has it."""

    python: Path
    folder: Path
    target: Target
    workload: Workload
    load: Load
    asks: list[Ask]
    warmup_requests: int
    timeout_s: float


class Tool(Protocol):
    """One of the tools. ``NAME`` is what ``--engine`` takes; ``APIS`` are those of ours that it knows, with its own
    names."""

    NAME: str
    APIS: dict[str, str]
    NOTES: list[str]

    def command(self, job: Job) -> list[str]:
        """Writes what the tool reads into the job's folder; returns its command line. Raises ConfigurationError for
        prompts that it cannot send."""

    def environment(self) -> dict[str, str | None]:
        """Variables to set, or to take away where None."""

    def version(self, job: Job) -> str:
        """Of the tool that has just run."""

    def read(self, job: Job) -> Theirs:
        """Its figures, from the files it has written. Raises ValueError or KeyError for what they should not be."""
