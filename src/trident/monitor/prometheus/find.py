"""Where Prometheus's program is: where the user says, or on PATH, where Debian's package puts it too."""

from __future__ import annotations

import shutil
from pathlib import Path

from trident.config.monitor import AUTO, NONE
from trident.errors import ConfigurationError
from trident.monitor import program_version

NAME = "prometheus"
VERSION_TIMEOUT_S = 10.0
NEXT_STEP = "install it (Debian: apt-get install prometheus), give its path with --prometheus, or say --prometheus none"


def program(wanted: str) -> Path | None:
    """``wanted`` is the setting: a path, a name on PATH, auto or none. None where none is wanted, and where auto finds
    none. Raises ConfigurationError when what is named is not there, or is something else."""
    if wanted == NONE:
        return None
    found = shutil.which(NAME if wanted == AUTO else str(Path(wanted).expanduser()))
    if found is None:
        if wanted == AUTO:
            return None
        raise ConfigurationError(f"There is no Prometheus at {wanted}", "no program has that name", NEXT_STEP)
    said = program_version.version(found, VERSION_TIMEOUT_S)
    if not said.startswith(NAME):
        raise ConfigurationError(f"{found} is no Prometheus", said or "it says nothing", NEXT_STEP)
    return Path(found).absolute()
