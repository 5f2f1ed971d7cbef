"""Where Trident keeps things. Each place can be moved by an environment variable, for tests and for odd machines."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from trident.protocol.sockets import MAX_PATH_BYTES


def data_dir() -> Path:
    """Environments and pulled models; survives restarts and is worth keeping."""
    if own := os.environ.get("TRIDENT_DATA_DIR"):
        return Path(own).expanduser().absolute()
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "trident"


def state_dir() -> Path:
    """Run directories of servers: configuration, logs, state."""
    if own := os.environ.get("TRIDENT_STATE_DIR"):
        return Path(own).expanduser().absolute()
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "trident"


def run_dir(name: str) -> Path:
    """The run directory of the server called ``name``."""
    return state_dir() / "run" / name


def sockets_dir(run: Path) -> Path:
    """A folder short enough for unix sockets: inside the run directory where its path allows, else a private one
    in the temporary folder whose name is derived from it."""
    inside = run / "sockets"
    if len(os.fsencode(inside)) + 40 <= MAX_PATH_BYTES:
        return inside
    digest = hashlib.sha256(os.fsencode(run)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"trident-{os.getuid()}-{digest}"
