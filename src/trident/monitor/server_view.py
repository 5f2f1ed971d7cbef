"""The server as its own state file tells it: phase, children, doors, model, configuration without secrets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from trident.config.models import Config
from trident.supervisor import state
from trident.supervisor.run_directory import config_of
from trident.supervisor.state import ChildState, ServerState

_SECRET = re.compile(r"key|token|password|secret|credential", re.IGNORECASE)
_NO_SECRET = re.compile(r"tokenizer|tokens$|_file$|tls_key", re.IGNORECASE)
HIDDEN = "•••"
GONE = "gone"


class Child(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One process or a part of one; ``since`` is Unix time."""

    name: str
    phase: str
    is_ready: bool
    since: float
    pid: int | None = None
    restarts: int = 0
    mended: int = 0
    last_death: str = ""
    parts: dict[str, int] = {}


class ServerView:
    """Reads the state when it has changed."""

    def __init__(self, run_dir: Path, config: Config) -> None:
        self.run_dir = run_dir
        self._config = config
        self._seen: tuple[int, int] | None = None
        self._state: ServerState | None = None

    @property
    def state(self) -> ServerState | None:
        """As it is now; None when there is none."""
        try:
            found = (self.run_dir / state.FILE_NAME).stat()
            seen = (found.st_mtime_ns, found.st_ino)
        except OSError:
            seen = None
        if seen != self._seen or seen is None:
            self._seen, self._state = seen, state.load(self.run_dir)
        return self._state

    @property
    def phase(self) -> str:
        """The server's, ``gone`` when its supervisor has died."""
        found = self.state
        return found.phase if found is not None and found.is_running() else GONE

    @property
    def version(self) -> str:
        """Another one when ``told`` would tell something else."""
        return f"{self._seen}"

    @property
    def children(self) -> list[Child]:
        """In the order of the server's own view."""
        found = self.state
        return [_child(child) for child in found.children] if found is not None else []

    @property
    def engines(self) -> list[ChildState]:
        """Those children that are engine hosts."""
        found = self.state
        return [child for child in found.children if child.counts is not None] if found is not None else []

    @property
    def max_running(self) -> int | None:
        """Sequences that all engines run at once, as far as they have said it."""
        known = [child.facts for child in self.engines if "max_num_seqs" in child.facts]
        return sum(int(facts["max_num_seqs"]) * int(facts.get("replicas", 1)) for facts in known) or None

    def told(self) -> dict[str, Any]:
        """What changes seldom."""
        found = self.state
        if found is None:
            return {"phase": GONE, "version": self.version}
        return {
            "version": self.version,
            "name": found.name,
            "started": found.started,
            "model": found.model or {"name": ", ".join(found.openai_doors)},
            "models": list(found.openai_doors),
            "versions": found.versions,
            "urls": found.urls,
            "doors": [
                {"name": door.name, "ok": door.ok, "seconds": door.seconds, "why": door.why} for door in found.doors
            ],
            "facts": {child.name: child.facts for child in self.engines},
            "max_running": self.max_running,
            "logs": [path.stem for path in sorted((self.run_dir / "logs").glob("*.log"))],
            "configuration": self._configuration(),
        }

    def _configuration(self) -> Any:
        try:
            now = config_of(self.run_dir)  # a reload writes it anew
        except (OSError, ValueError):
            now = self._config
        return without_secrets(now.model_dump(mode="json"))


def without_secrets(value: Any, name: str = "") -> Any:
    """Names stay, and whether there is something."""
    if isinstance(value, dict):
        return {key: without_secrets(item, str(key)) for key, item in value.items()}
    is_secret = _SECRET.search(name) is not None and _NO_SECRET.search(name) is None
    if is_secret and isinstance(value, str | list | tuple) and value:
        return HIDDEN
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return value


def _child(child: ChildState) -> Child:
    return Child(
        name=child.name,
        phase=child.phase,
        is_ready=child.is_ready,
        since=child.since,
        pid=child.process.pid if child.process else None,
        restarts=child.restarts,
        mended=child.mended,
        last_death=child.last_death,
        parts={name: process.pid for name, process in child.parts.items()},
    )
