"""What the server is doing, in one small file for everybody who wants to know: ``RUN_DIR/state.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from trident.errors import TridentError
from trident.supervisor.processes import Process

FILE_NAME = "state.json"
OPENAI_OF = "OpenAI of "
"""Begins the name of the OpenAI door of a model of the user's repositories; its name follows."""

ServerPhase = Literal["starting", "ready", "degraded", "draining", "stopping", "stopped", "failed"]


class EngineCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Where an engine's processes count: ``folder`` is their ``PROMETHEUS_MULTIPROC_DIR``. ``model`` and ``version``
    are those of the Triton model that it is shown for."""

    folder: str
    served_name: str
    model: str
    version: str
    openai_host: str
    openai_port: int


class ChildState(msgspec.Struct, frozen=True, kw_only=True):
    """One child. ``since`` is Unix time; ``parts`` are the child's own children by name.

    ``restarts`` counts all, ``crash_loop`` those that count against ``max_restarts`` now; ``mended`` counts parts that
    died and were replaced without a restart. ``last_death`` says how the last life ended, ``next_start`` when the next
    one begins while it is waited for, in Unix time.
    """

    name: str
    log_path: str
    process: Process | None
    phase: str
    since: float
    is_ready: bool
    restarts: int
    crash_loop: int = 0
    mended: int = 0
    last_death: str = ""
    next_start: float | None = None
    parts: dict[str, Process] = {}
    facts: dict[str, Any] = {}
    counts: EngineCounts | None = None


class DoorState(msgspec.Struct, frozen=True, kw_only=True):
    """One way in and how the request through it went; ``seconds`` is None while it has not been tried."""

    name: str
    ok: bool
    seconds: float | None = None
    why: str = ""


class ErrorState(msgspec.Struct, frozen=True, kw_only=True):
    """The error that ended the server, so that another process can show it."""

    kind: str
    what: str
    why: str
    next_step: str
    exit_code: int
    log_path: str | None

    @classmethod
    def of(cls, error: TridentError) -> ErrorState:
        """This one."""
        return cls(
            kind=type(error).__name__,
            what=error.what,
            why=error.why,
            next_step=error.next_step,
            exit_code=error.exit_code,
            log_path=str(error.log_path) if error.log_path else None,
        )


class ServerState(msgspec.Struct, frozen=True, kw_only=True):
    """The whole server; written anew at each change."""

    name: str
    run_dir: str
    process: Process
    started: float
    phase: ServerPhase
    since: float
    note: str = ""
    children: list[ChildState] = []
    doors: list[DoorState] = []
    urls: dict[str, str] = {}
    model: dict[str, str] = {}
    versions: dict[str, str] = {}
    error: ErrorState | None = None

    @property
    def tasks(self) -> list[str]:
        """What the model of the first of ``openai_doors`` does, in vLLM's words; nothing while its host has not said
        it."""
        return next((list(child.facts["tasks"]) for child in self.children if "tasks" in child.facts), [])

    def save(self, run_dir: Path) -> None:
        """Readers see the old file or the new one, never half of one."""
        path = run_dir / FILE_NAME
        temporary = path.with_suffix(".new")
        temporary.touch(mode=0o600)
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(self)))
        temporary.replace(path)

    @property
    def openai_doors(self) -> dict[str, str]:
        """The address of each OpenAI door by the name that its model has there; MODEL's is the first."""
        kept = {door[len(OPENAI_OF) :]: url for door, url in self.urls.items() if door.startswith(OPENAI_OF)}
        return {self.model.get("name", ""): self.urls["OpenAI"], **kept} if "OpenAI" in self.urls else kept

    def is_running(self) -> bool:
        """The supervisor that wrote it lives; after a kill the file stays behind and says something else."""
        return self.process.is_running()


def load(run_dir: Path) -> ServerState | None:
    """None when there is no state, or one of another version of Trident."""
    try:
        return msgspec.json.decode((run_dir / FILE_NAME).read_bytes(), type=ServerState)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None
