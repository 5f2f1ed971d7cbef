"""Where Grafana's program is, and the files that belong to it. Trident brings none along: its licence is the AGPL."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import NamedTuple

from trident.errors import ConfigurationError
from trident.monitor import program_version

NAME = "grafana"
PROGRAMS = ("bin/grafana", "grafana")
"""In a folder: that of the unpacked archive, or its ``bin``."""
PACKAGES_HOME = Path("/usr/share/grafana")
"""Of Grafana's own packages for Debian and Red Hat; the program on PATH is a script of theirs."""
DEFAULTS = "conf/defaults.ini"
OLDEST = (10, 4)
"""The dashboards are made for it."""
VERSION_TIMEOUT_S = 20.0
NEXT_STEP = "give the program, or the folder of an unpacked Grafana 10.4 or newer: --grafana PATH"


class Grafana(NamedTuple):
    """An installed one. ``home`` has its pages and its defaults."""

    program: Path
    home: Path


def program(wanted: str) -> Grafana:
    """``wanted`` is the setting: the program, its name on PATH, or a folder with it. Raises ConfigurationError when
    there is none, when it is something else, and when it is too old."""
    given = Path(wanted).expanduser()
    inside = (given / name for name in PROGRAMS)
    found = next((str(file) for file in inside if file.is_file()), None) or shutil.which(str(given))
    if found is None:
        raise ConfigurationError(f"There is no Grafana at {wanted}", "no program is there", NEXT_STEP)
    file = Path(found).absolute()
    _check_version(file)
    return Grafana(file, _home(file))


def _check_version(file: Path) -> None:
    said = program_version.version(file, VERSION_TIMEOUT_S)
    version = re.search(r"(\d+)\.(\d+)\.\d+", said)
    if NAME not in said.lower() or version is None:
        raise ConfigurationError(
            f"{file} is no Grafana", said or "it says nothing when asked for its version", NEXT_STEP
        )
    if (int(version[1]), int(version[2])) < OLDEST:
        raise ConfigurationError(f"Grafana {version[0]} is too old", "the dashboards are made for 10.4", NEXT_STEP)


def _home(file: Path) -> Path:
    """Raises ConfigurationError where the program is without its files."""
    for folder in (file.resolve().parent.parent, PACKAGES_HOME):
        if (folder / DEFAULTS).is_file():
            return folder
    why = f"neither {file.resolve().parent.parent} nor {PACKAGES_HOME} has {DEFAULTS}"
    raise ConfigurationError(f"{file} is without the rest of Grafana", why, NEXT_STEP)
