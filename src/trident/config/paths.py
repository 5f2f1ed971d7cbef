"""Where Trident keeps things. Each place can be moved by an environment variable, for tests and for odd machines."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

from trident.protocol.sockets import MAX_PATH_BYTES

PLAIN = re.compile(r"[\w/.,+@=-]+")


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
    """A folder short and plain enough for unix sockets and for ``bash``: inside the run directory where its path
    allows, else a private one in the temporary folder whose name is derived from it."""
    digest = hashlib.sha256(os.fsencode(run)).hexdigest()[:12]
    private = f"trident-{os.getuid()}-{digest}"
    for folder in (run / "sockets", Path(tempfile.gettempdir()) / private):
        if len(os.fsencode(folder)) + 40 <= MAX_PATH_BYTES and is_plain(folder):
            return folder
    return Path("/tmp") / private


def is_plain(path: Path) -> bool:
    """Means itself in an unquoted shell command: tritonserver starts its stubs by one."""
    return PLAIN.fullmatch(os.fspath(path)) is not None
