"""Both environments: complete, of the right versions, and as they were installed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from trident.doctor import records
from trident.doctor.finding import Finding, Repair, fail, ok, warn
from trident.doctor.patient import Patient
from trident.errors import EnvironmentBroken
from trident.runtime import control_env, engine_env
from trident.runtime.pins import VLLM_VERSION

NAMED_AT_MOST = 3
PYTHON_TIMEOUT_S = 30.0


def control(patient: Patient) -> Iterator[Finding]:
    """The environment that Trident runs in; tritonserver's wheel is in it."""
    try:
        control_env.check_numpy()
    except EnvironmentBroken as error:
        yield fail("environment.numpy", error.what, error.why, error.next_step)
    damaged = list(records.damages(patient.site, hashes=patient.hashes))
    if damaged:
        packages = sorted({damage.package.rpartition("-")[0].replace("_", "-") for damage in damaged})
        yield fail(
            "environment.control",
            f"Trident's own environment is damaged: {', '.join(packages[:NAMED_AT_MOST])}",
            _words(damaged),
            f"python -m pip install --force-reinstall --no-deps {' '.join(packages)}",
        )
        return
    yield ok("environment.control", f"{patient.site}, {_depth(patient)}")


def engine(patient: Patient) -> Iterator[Finding]:
    """vLLM's environment."""
    env = patient.engine
    if env is None:
        yield from _no_engine(patient)
        return
    if why := _no_interpreter(env.path):
        yield fail(
            "environment.engine",
            "vLLM's environment has not the Python that it needs",
            why,
            f"rm {env.path / engine_env.STAMP_NAME}; trident setup",
            _reinstall(env.path),
        )
        return
    damaged = [damage for site in _sites(env.path) for damage in records.damages(site, hashes=patient.hashes)]
    if damaged:
        yield fail(
            "environment.engine",
            f"vLLM's environment is damaged ({len(damaged)} files)",
            _words(damaged),
            f"rm {env.path / engine_env.STAMP_NAME}; trident setup",
            _reinstall(env.path),
        )
        return
    if env.vllm_version != VLLM_VERSION:
        yield warn(
            "environment.engine",
            f"vLLM {env.vllm_version} is used",
            f"it was chosen, and this Trident is made for {VLLM_VERSION} and tested with no other",
            "trident engine use default",
        )
        return
    yield ok("environment.engine", f"vLLM {env.vllm_version} ({env.build}) in {env.path}, {_depth(patient)}")


def _no_engine(patient: Patient) -> Iterator[Finding]:
    if engine_env.choice_path(patient.build, patient.data_dir).is_symlink():
        try:
            engine_env.engine_env(patient.build, patient.data_dir)
        except EnvironmentBroken as error:
            yield fail("environment.engine", error.what, error.why, error.next_step)
            return
    folders = sorted(engine_env.engines_dir(patient.data_dir).glob("vllm-*"))
    why = "it is installed at the first start, or by trident setup"
    if folders:
        why = f"{folders[0].name} is there, but {engine_env.why_incomplete(folders[0])}"
    offline = patient.config is not None and patient.config.runtime.offline
    say = fail if offline or folders else warn
    yield say("environment.engine", f"vLLM {VLLM_VERSION} for {patient.build} is not installed", why, "trident setup")


def _no_interpreter(folder: Path) -> str:
    """Why its Python cannot run what is installed there, empty when it can."""
    python = folder / "bin" / "python"
    made_with = [site.parent.name.removeprefix("python") for site in _sites(folder)]
    command = [str(python), "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=PYTHON_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{python} cannot be run: {error}"
    if answer.returncode != 0:
        return f"{python} does not run: {answer.stderr.strip()[-200:] or f'exit code {answer.returncode}'}"
    if answer.stdout.strip() not in made_with:
        found = f"{python} is Python {answer.stdout.strip()} now"
        return f"it was made with Python {', '.join(made_with)}, and {found}" if made_with else f"it is empty, {found}"
    return ""


def _reinstall(folder: Path) -> Repair:
    return Repair(f"declare {folder.name} incomplete: the next start installs it anew", lambda: _forget(folder))


def _forget(folder: Path) -> None:
    (folder / engine_env.STAMP_NAME).unlink(missing_ok=True)


def _sites(env: Path) -> list[Path]:
    return sorted(env.glob("lib/python3.*/site-packages"))


def _words(damaged: list[records.Damage]) -> str:
    first = "; ".join(f"{damage.file}: {damage.why}" for damage in damaged[:NAMED_AT_MOST])
    more = len(damaged) - NAMED_AT_MOST
    return first + (f" and {more} more" if more > 0 else "")


def _depth(patient: Patient) -> str:
    return "all files have their hashes" if patient.hashes else "all files have their sizes (--hashes reads them)"
