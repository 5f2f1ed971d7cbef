"""What survives a kill: ``journal.jsonl``, its first line what was asked, then a line for each record.

A line is on the disk before the next measurement begins. One that was cut short by a power cut is left out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from trident.errors import ConfigurationError
from trident.tune.gate import Gate
from trident.tune.knobs import Build
from trident.tune.loading import Loading
from trident.tune.memory import Model
from trident.tune.objective import Objective
from trident.tune.plan import Plan
from trident.tune.records import Record
from trident.tune.space import Space

FILE_NAME = "journal.jsonl"
FORMAT = 2


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The search as it was begun; one that is gone on with takes everything from here. ``tables`` are the base
    configuration's, ``memory_bytes`` is what a server may take, on GPUs each of its replicas."""

    format: int = FORMAT
    started_at: str
    trident: str
    vllm: str
    build: Build
    model: str
    objective: Objective
    loading: Loading
    plan: Plan
    space: Space
    tables: dict[str, Any]
    sizes: Model
    memory_bytes: int
    start_timeout_s: float = 300.0
    gate: Gate | None = None


class Journal:
    """Of one folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    @property
    def exists(self) -> bool:
        """A search was begun here."""
        return self._path.exists()

    def begin(self, asked: Asked) -> None:
        """Raises ConfigurationError where a search was begun before."""
        if self.exists:
            raise ConfigurationError(
                f"There is a search in {self._path.parent} already",
                f"{self._path.name} is there",
                "go on with it: trident tune --resume FOLDER; or give another --output",
            )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._append(msgspec.json.encode(asked))

    def add(self, record: Record) -> None:
        """On the disk when this returns."""
        self._append(msgspec.json.encode(record))

    def read(self) -> tuple[Asked, list[Record]]:
        """Raises ConfigurationError for what is no journal, or one of another Trident."""
        try:
            first, *rest = self._path.read_bytes().split(b"\n")
            asked = msgspec.json.decode(first, type=Asked)
            if asked.format != FORMAT:
                raise ValueError(f"it is of format {asked.format}, this Trident reads {FORMAT}")
            # What follows the last line's end was never finished.
            return asked, [msgspec.json.decode(line, type=Record) for line in rest[:-1]]
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            raise ConfigurationError(
                f"{self._path.parent} holds no search that can be gone on with",
                str(error),
                "name a folder that trident tune has written",
            ) from error

    def _append(self, line: bytes) -> None:
        self._drop_unfinished()
        with self._path.open("ab") as file:
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _drop_unfinished(self) -> None:
        if not self._path.exists():
            return
        content = self._path.read_bytes()
        if content and not content.endswith(b"\n"):
            with self._path.open("rb+") as file:
                file.truncate(content.rfind(b"\n") + 1)
