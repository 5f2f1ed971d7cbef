"""All engine environments that lie side by side, and which one is used.

An upgrade makes a new one and leaves the old where it is, so that there is a way back: a Trident finds the one of its
own pins by itself, and ``use`` chooses another. Only ``remove`` deletes one that is complete.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from trident.errors import ConfigurationError, EnvironmentBroken
from trident.runtime import engine_env, pins
from trident.runtime.pins import Build

DEFAULT = "default"
BUILDS: tuple[Build, ...] = ("cpu", "cuda")


@dataclass(frozen=True)
class Engine:
    """One environment. ``lacks`` says why it cannot be used, empty when it can; ``is_pinned`` that this Trident's pins
    made it; ``made`` is Unix time."""

    path: Path
    build: str
    vllm_version: str
    python_version: str
    made: float
    is_pinned: bool
    is_used: bool
    lacks: str

    @property
    def name(self) -> str:
        return self.path.name


def engines(data_dir: Path) -> list[Engine]:
    """Newest first."""
    used = {env.path for build in BUILDS if (env := _used(build, data_dir))}
    folders = [folder for folder in engine_env.engines_dir(data_dir).glob("vllm-*") if folder.is_dir()]
    return sorted((_engine(folder, folder in used) for folder in folders), key=lambda one: -one.made)


def use(name: str, data_dir: Path) -> Engine | None:
    """Chooses the environment called ``name`` for its build; ``default`` gives the choice back to the pins, of every
    build. Servers that run keep theirs. Raises ConfigurationError, EnvironmentBroken."""
    if name == DEFAULT:
        for build in BUILDS:
            engine_env.choice_path(build, data_dir).unlink(missing_ok=True)
        return None
    wanted = _named(name, data_dir)
    if wanted.lacks:
        raise EnvironmentBroken(
            f"{name} cannot be used", f"it is there, but {wanted.lacks}", f"trident engine remove {name}; trident setup"
        )
    choice = engine_env.choice_path(_build(wanted), data_dir)
    new = choice.with_suffix(".new")
    new.unlink(missing_ok=True)
    new.symlink_to(wanted.name)
    new.replace(choice)
    return wanted


def remove(name: str, data_dir: Path) -> Engine:
    """Deletes an environment that is neither the used one nor that of a server that runs. Raises ConfigurationError."""
    wanted = _named(name, data_dir)
    if wanted.is_used:
        raise ConfigurationError(
            f"{name} is the one that is used", "the next start would want it", "trident engine use ANOTHER first"
        )
    if pid := _user_of(wanted.path):
        raise ConfigurationError(f"{name} is in use", f"process {pid} runs from it", "stop that server first")
    (wanted.path / engine_env.STAMP_NAME).unlink(missing_ok=True)  # half a folder must never look whole
    shutil.rmtree(wanted.path)
    return wanted


def size_bytes(folder: Path) -> int:
    """What deleting it would free, about: files that are linked from elsewhere (uv's cache) count too."""
    return sum(
        os.lstat(os.path.join(place, file)).st_blocks * 512  # noqa: PTH118 - 55,000 times
        for place, _, files in os.walk(folder)
        for file in files
    )


def _used(build: Build, data_dir: Path) -> engine_env.EngineEnv | None:
    try:
        return engine_env.engine_env(build, data_dir)
    except EnvironmentBroken:
        return None  # no GPU for it here, or the chosen one is broken


def _engine(folder: Path, is_used: bool) -> Engine:
    try:
        stamp = json.loads((folder / engine_env.STAMP_NAME).read_bytes())
    except (OSError, ValueError):
        stamp = {}
    parts = folder.name.split("-")  # vllm-VERSION-BUILD-pyX.Y, and a part more where the name was taken
    build = str(stamp.get("build", parts[2] if len(parts) > 2 else "?"))
    is_known = build in BUILDS
    is_whole = is_known and engine_env.complete(folder, _as_build(build)) is not None
    return Engine(
        path=folder,
        build=build,
        vllm_version=str(stamp.get("vllm_version", parts[1] if len(parts) > 1 else "?")),
        python_version=next((part[2:] for part in parts if part.startswith("py")), "?"),
        made=folder.stat().st_mtime,
        is_pinned=is_known and stamp.get("pins_sha256") == pins.pins_digest(_as_build(build)),
        is_used=is_used,
        lacks="" if is_whole else engine_env.why_incomplete(folder),
    )


def _named(name: str, data_dir: Path) -> Engine:
    known = engines(data_dir)
    for one in known:
        if one.name == name:
            return one
    names = ", ".join(one.name for one in known) or "none"
    raise ConfigurationError(f"There is no engine environment {name}", f"there are: {names}", "see trident engine list")


def _as_build(text: str) -> Build:
    return "cuda" if text == "cuda" else "cpu"


def _build(engine: Engine) -> Build:
    return _as_build(engine.build)


def _user_of(folder: Path) -> int | None:
    """A process whose program lies in the folder."""
    import psutil

    for process in psutil.process_iter(["cmdline"]):
        if any(word.startswith(f"{folder}/") for word in process.info["cmdline"] or ()):
            return int(process.pid)
    return None
