"""The operating system, the interpreter and what Triton's Python backend needs of them."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from trident.doctor.finding import Finding, Repair, fail, ok
from trident.doctor.patient import Patient
from trident.errors import EnvironmentBroken
from trident.runtime import checks
from trident.runtime.control_env import BACKEND_FILES, STUB_NAME, check_numpy, triton_install


def operating_system(_: Patient) -> Iterator[Finding]:
    """Linux on x86-64 with a C library that the wheels are built for."""
    try:
        checks.check_platform()
    except EnvironmentBroken as error:
        yield fail("platform.system", error.what, error.why, error.next_step)
        return
    name, version = platform.libc_ver()
    yield ok("platform.system", f"{platform.system()} {platform.release()}, {platform.machine()}, {name} {version}")


def interpreter(_: Patient) -> Iterator[Finding]:
    """A Python that Triton's stub is built for."""
    try:
        checks.check_python()
    except EnvironmentBroken as error:
        yield fail("platform.python", error.what, error.why, error.next_step)
        return
    yield ok("platform.python", f"CPython {platform.python_version()}")


def triton(patient: Patient) -> Iterator[Finding]:
    """tritonserver, its libpython, and the backend folder that is put together from the wheel."""
    try:
        check_numpy()
    except EnvironmentBroken:
        return  # the environment's check tells that one
    try:
        install = triton_install(patient.data_dir)
    except EnvironmentBroken as error:
        yield fail("platform.triton", error.what, error.why, error.next_step)
        return
    server = install.server
    if not os.access(server, os.X_OK):
        yield fail(
            "platform.triton",
            "tritonserver cannot be started",
            f"{server} may not be executed",
            f"chmod +x {server}",
            Repair(f"chmod +x {server}", lambda: server.chmod(server.stat().st_mode | 0o111)),
        )
        return
    place = install.backend_dir.parent
    if why := _damage(install.backend_dir):
        yield fail(
            "platform.triton",
            "Triton's backend folder is damaged",
            why,
            f"rm -r {place}; it is put together again at the next start",
            Repair(f"put {place} together again", lambda: _again(place, patient.data_dir)),
        )
        return
    library = next((file for file in install.library_dirs[1].iterdir()), None)
    yield ok("platform.triton", f"{install.server}, {library.resolve() if library else 'libpython'}")


def _damage(backend: Path) -> str:
    python = [backend / "python" / name for name in BACKEND_FILES]
    stub = backend / "python" / STUB_NAME
    libraries = list((backend.parent / "lib").iterdir()) if (backend.parent / "lib").is_dir() else [backend / "lib"]
    for file in (*python, stub, backend / "vllm" / "model.py", *libraries):
        if not file.exists():
            return f"{file} is not there or leads nowhere"
    return "" if os.access(stub, os.X_OK) else f"{stub} may not be executed"


def _again(place: Path, data_dir: Path) -> None:
    shutil.rmtree(place)
    triton_install(data_dir)
