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


def env_path(build: Build, python_version: str, data_dir: Path) -> Path:
    return engines_dir(data_dir) / f"vllm-{pins.VLLM_VERSION}-{build}-py{python_version}"


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
    """The installed and complete environment of ``build``, or None."""
    wanted = chosen_build(build)
    digest = pins.pins_digest(wanted)
    prefix = env_path(wanted, "", data_dir).name
    for folder in sorted(engines_dir(data_dir).glob(f"{prefix}*"), reverse=True):
        if found := _complete(folder, wanted, digest):
            return found
    return None


def _complete(folder: Path, build: Build, digest: str) -> EngineEnv | None:
    try:
        stamp = json.loads((folder / STAMP_NAME).read_bytes())
    except (OSError, ValueError):
        return None
    python, arguments = folder / "bin" / "python", folder / ARGUMENTS_NAME
    whole = isinstance(stamp, dict) and stamp.get("format") == STAMP_FORMAT and stamp.get("pins_sha256") == digest
    if not (whole and python.exists() and arguments.exists()):
        return None
    return EngineEnv(folder, build, str(stamp["vllm_version"]), python, arguments)


def install(build: BuildChoice, data_dir: Path, report: Report) -> EngineEnv:
    """The environment of ``build``, made if it is not there yet (minutes, from the network). Interrupted or failed, it
    leaves nothing half-made. Raises ``EnvironmentBroken``."""
    if found := engine_env(build, data_dir):
        return found
    from trident.runtime import engine_install

    return engine_install.install(chosen_build(build), data_dir, report)
