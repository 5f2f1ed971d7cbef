"""What the processes of a server are called in the label ``child``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from trident.supervisor import state, stubs
from trident.supervisor.processes import Process, identify
from trident.supervisor.state import ServerState

STUB = "stub "
OTHER = "other"
MOST_GENERATIONS = 8


class ChildNames:
    """Of the server with this run directory: its children under the supervisor's names, stubs as ``MODEL stub N``, the
    supervisor, and the process that asks as ``monitor``."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._models: dict[Process, str] = {}

    def processes(self) -> dict[str, Process]:
        """Those of now; without a server there is still the monitor."""
        server = state.load(self._run_dir)
        named: dict[str, Process] = {}
        if server is not None:
            named["supervisor"] = server.process
            named.update(self._children(server))
        own = identify(os.getpid())
        if own is not None and own not in named.values():
            named["monitor"] = own
        return named

    def _children(self, server: ServerState) -> Iterator[tuple[str, Process]]:
        stubs_of: Counter[str] = Counter()
        for child in server.children:
            if child.process is not None:
                yield child.name, child.process
            for name, part in child.parts.items():
                model = self._model_of(part) if name.startswith(STUB) else ""
                stubs_of[model] += 1
                yield (f"{model} stub {stubs_of[model]}" if model else name), part

    def _model_of(self, stub: Process) -> str:
        """Asked once for each: it reads the whole command line."""
        if stub not in self._models:
            self._models[stub] = stubs.model_of(stub) or ""
        return self._models[stub]


def owner(pid: int, named: dict[int, str]) -> str:
    """The name of the process, or of the nearest parent that has one: an engine's workers are its own children."""
    for _ in range(MOST_GENERATIONS):
        if pid in named:
            return named[pid]
        parent = _parent(pid)
        if parent is None:
            break
        pid = parent
    return OTHER


def _parent(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:  # in a container a GPU's driver names processes by numbers of the machine outside
        return None
    return int(text.rpartition(")")[2].split()[1])
