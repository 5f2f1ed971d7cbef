"""The engine environment: whether a complete one is installed, and where its parts are.

An environment is complete when its stamp, written last, names the pins that ship with this Trident. Looking costs
milliseconds, starts no process and touches no network.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from trident.errors import EnvironmentBroken
from trident.runtime import checks, hardware, pins
from trident.runtime.pins import Build
from trident.runtime.progress import Report

BuildChoice = Literal["auto", "cpu", "cuda"]
STAMP_NAME = "trident.json"
ARGUMENTS_NAME = "arguments.json"
STAMP_FORMAT = 1


@dataclass(frozen=True)
class EngineEnv:
    """A complete engine environment at ``path``. ``arguments_path`` describes what this vLLM takes, see
    ``engine/arguments_dump.py``."""

    path: Path
    build: Build
    vllm_version: str
    python: Path
    arguments_path: Path


@dataclass(frozen=True)
class Stamp:
    """What a complete environment says about itself."""

    build: str
    vllm_version: str
    torch_version: str
    torch_source: str
    python: str
    pins_sha256: str
    seconds: float
    format: int = STAMP_FORMAT

    def write(self, folder: Path) -> None:
        """Atomically, so that a stamp is whole or absent."""
        temporary = folder / f"{STAMP_NAME}.new"
        with temporary.open("w") as file:
            json.dump(asdict(self), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / STAMP_NAME)


def engines_dir(data_dir: Path) -> Path:
    return data_dir / "engines"


def env_path(build: Build, python_version: str, data_dir: Path, version: str = pins.VLLM_VERSION) -> Path:
    return engines_dir(data_dir) / f"vllm-{version}-{build}-py{python_version}"


def choice_path(build: Build, data_dir: Path) -> Path:
    """A link to the environment of ``build`` that the user has chosen; without one it is that of the pins."""
    return engines_dir(data_dir) / f"chosen-{build}"


def chosen_build(build: BuildChoice) -> Build:
    """``auto`` is cuda where a GPU answers, else cpu. Raises ``EnvironmentBroken`` for a GPU with too old a driver
    rather than serve from the CPU unasked."""
    if build != "auto":
        return build
    found = hardware.detect()
    if not found.gpus:
        return "cpu"
    checks.check_cuda(found)
    return "cuda"


def engine_env(build: BuildChoice, data_dir: Path) -> EngineEnv | None:
    """The environment of ``build`` to be used: the one that was chosen, else one that is complete and of this Trident's
    pins, or None. Raises EnvironmentBroken when the chosen one is not complete."""
    wanted = chosen_build(build)
    if (choice := choice_path(wanted, data_dir)).is_symlink():
        return _chosen(choice, wanted)
    digest = pins.pins_digest(wanted)
    prefix = env_path(wanted, "", data_dir).name
    for folder in sorted(engines_dir(data_dir).glob(f"{prefix}*"), reverse=True):
        if found := _complete(folder, wanted, digest):
            return found
    return None


def _chosen(choice: Path, build: Build) -> EngineEnv:
    folder = choice.parent / choice.readlink()
    if found := complete(folder, build):
        return found
    why = why_incomplete(folder) if folder.is_dir() else "gone"
    raise EnvironmentBroken(
        f"The engine environment {folder.name}, which was chosen, cannot be used",
        f"it is {why}" if why == "gone" else f"it is there, but {why}",
        "trident engine use default, or another of trident engine list",
    )


def complete(folder: Path, build: Build) -> EngineEnv | None:
    """The environment in ``folder`` if it is complete, whatever pins it was made from."""
    return _complete(folder, build, None)


def _complete(folder: Path, build: Build, digest: str | None) -> EngineEnv | None:
    try:
        stamp = json.loads((folder / STAMP_NAME).read_bytes())
    except (OSError, ValueError):
        return None
    python, arguments = folder / "bin" / "python", folder / ARGUMENTS_NAME
    whole = isinstance(stamp, dict) and (stamp.get("format"), stamp.get("build")) == (STAMP_FORMAT, build)
    whole = whole and digest in (None, stamp.get("pins_sha256"))
    if not (whole and python.exists() and arguments.exists()):
        return None
    return EngineEnv(folder, build, str(stamp["vllm_version"]), python, arguments)


def why_incomplete(folder: Path) -> str:
    """What an environment lacks that is not taken for complete; completes "it is there, but …"."""
    try:
        stamp = json.loads((folder / STAMP_NAME).read_bytes())
    except FileNotFoundError:
        return "incomplete: its installation did not end"
    except (OSError, ValueError) as error:
        return f"incomplete: {STAMP_NAME} cannot be read ({error})"
    python = folder / "bin" / "python"
    if not python.exists():
        return f"its Python is gone: {python} leads to {os.path.realpath(python)}"
    if not (folder / ARGUMENTS_NAME).exists():
        return f"incomplete: {ARGUMENTS_NAME} is missing"
    made_by = f" (for vLLM {stamp['vllm_version']})" if isinstance(stamp, dict) and "vllm_version" in stamp else ""
    return f"made by another version of Trident{made_by}"


def install(build: BuildChoice, data_dir: Path, report: Report) -> EngineEnv:
    """The environment of ``build``, made if it is not there yet (minutes, from the network). Interrupted or failed, it
    leaves nothing half-made. Raises ``EnvironmentBroken``."""
    if found := engine_env(build, data_dir):
        return found
    from trident.runtime import engine_install

    return engine_install.install(chosen_build(build), data_dir, report)
