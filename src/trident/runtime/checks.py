"""What must hold of the machine before anything is installed or started. Each check raises ``EnvironmentBroken``."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from trident.errors import EnvironmentBroken
from trident.runtime.hardware import Hardware
from trident.runtime.pins import CUDA_VERSION_NEEDED, DISK_NEEDED_BYTES, GIB_BYTES, VLLM_VERSION, Build

CONTROL_PYTHONS = ((3, 10), (3, 11), (3, 12))
OLDEST_GLIBC = (2, 28)


def check_python(version: tuple[int, int] | None = None) -> None:
    """The interpreter that runs Trident: CPython 3.10 to 3.12."""
    version = version or (sys.version_info[0], sys.version_info[1])
    if version not in CONTROL_PYTHONS or sys.implementation.name != "cpython":
        raise EnvironmentBroken(
            f"Python {version[0]}.{version[1]} ({sys.implementation.name}) cannot run Trident.",
            "Triton's Python stub is used with CPython 3.10, 3.11 or 3.12, and numpy 1.26 has no newer wheels",
            "make the environment with one of these, for instance `make clean && make PYTHON=python3.11`",
        )


def check_platform() -> None:
    """Linux on x86-64 with glibc 2.28 or newer: the only platform the wheels are built for."""
    glibc = _glibc_version()
    if sys.platform != "linux" or platform.machine() != "x86_64" or glibc < OLDEST_GLIBC:
        libc = f"glibc {glibc[0]}.{glibc[1]}" if glibc != (0, 0) else "no glibc"
        raise EnvironmentBroken(
            "This machine cannot run Trident.",
            f"tritonserver and vLLM come as Linux x86-64 wheels for glibc 2.28 or newer; "
            f"here is {sys.platform} {platform.machine()} with {libc}",
            "use a Linux x86-64 machine such as Debian 10, Ubuntu 20.04, RHEL 8 or newer",
        )


def _glibc_version() -> tuple[int, int]:
    """``(0, 0)`` where the C library is another one."""
    try:
        name, _, number = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        major, minor = number.split(".")[:2]
    except (ValueError, OSError):
        return (0, 0)
    return (int(major), int(minor)) if name == "glibc" else (0, 0)


def check_writable(folder: Path) -> None:
    """Makes ``folder`` where needed; it must take files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise EnvironmentBroken(
            f"Trident's data folder {folder} cannot be written.",
            f"{error.strerror or error}",
            "give yourself write permission there, or set TRIDENT_DATA_DIR to a folder of yours",
        ) from error


def check_disk(folder: Path, build: Build) -> None:
    """Room for the engine environment of ``build`` on the disk of ``folder``, which exists."""
    free, needed = shutil.disk_usage(folder).free, DISK_NEEDED_BYTES[build]
    if free < needed:
        raise EnvironmentBroken(
            f"The disk has too little room for the {build} engine.",
            f"{folder} has {free / GIB_BYTES:.1f} GiB free; vLLM {VLLM_VERSION} for {build} needs about "
            f"{needed // GIB_BYTES} GiB",
            "free some space, or set TRIDENT_DATA_DIR to a folder on a larger disk",
        )


def check_cuda(hardware: Hardware) -> None:
    """A GPU whose driver can run the CUDA build."""
    if not hardware.gpus:
        raise EnvironmentBroken(
            "The cuda engine cannot be used here.",
            hardware.gpu_problem or "no NVIDIA GPU was found",
            "install NVIDIA's driver (check with `nvidia-smi`), or use `--engine cpu`",
        )
    if hardware.cuda_version < CUDA_VERSION_NEEDED:
        have, need = (".".join(map(str, version)) for version in (hardware.cuda_version, CUDA_VERSION_NEEDED))
        raise EnvironmentBroken(
            "The NVIDIA driver is too old for the cuda engine.",
            f"driver {hardware.driver_version} runs CUDA up to {have}; vLLM {VLLM_VERSION} needs CUDA {need}",
            "update the driver (580 or newer), or use `--engine cpu`",
        )
