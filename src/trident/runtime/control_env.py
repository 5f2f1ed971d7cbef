"""The control environment's tritonserver: where it is and whether it can run Python models.

pytriton's wheel brings the server, its libraries, the Python backend and one stub for each Python, in separate
folders. The server wants the backend's library, its utilities and the right stub in one folder; that folder is put
together once, with our ``vllm`` backend beside it. pytriton itself is never imported: that takes long and has
side effects.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from trident.errors import EnvironmentBroken
from trident.runtime import checks
from trident.runtime.libpython import find_libpython

PYTRITON = "nvidia-pytriton"
STUB_NAME = "triton_python_backend_stub"
VLLM_BACKEND = """\
\"\"\"Triton's vllm backend, by Trident; what it does is in that module.\"\"\"

from trident.triton.stub.vllm import TritonPythonModel

__all__ = ["TritonPythonModel"]
"""
BACKEND_FILES = ("libtriton_python.so", "triton_python_backend_utils.py")


@dataclass(frozen=True)
class TritonInstall:
    """``library_dirs`` go into LD_LIBRARY_PATH, ``backend_dir`` to --backend-directory, and the folder of ``python``
    must be the first of PATH: the stub takes its site-packages from the ``python3`` found there."""

    server: Path
    library_dirs: tuple[Path, ...]
    backend_dir: Path
    python: Path


def triton_install(data_dir: Path) -> TritonInstall:
    """Checks what tritonserver needs and puts its backend folder together if need be. Takes milliseconds and starts
    no process; raises ``EnvironmentBroken``."""
    checks.check_platform()
    checks.check_python()
    check_numpy()
    site, version = _pytriton()
    root = site / "pytriton" / "tritonserver"
    python_version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    stub = root / "python_backend_stubs" / python_version / STUB_NAME
    parts = [root / "backends" / "python" / name for name in BACKEND_FILES]
    server, libraries = root / "bin" / "tritonserver", site / "nvidia_pytriton.libs"
    for part in (server, libraries, stub, *parts):
        if not part.exists():
            raise _incomplete(f"{part} is not there")
    libpython = find_libpython(python_version)
    place = _place(data_dir, version, python_version, libpython)
    if not place.is_dir():
        _assemble(place, [*parts, stub], libpython)
    return TritonInstall(server, (libraries, place / "lib"), place / "backends", Path(sys.executable))


def check_numpy(version: str | None = None) -> None:
    """numpy 1.x: the stub crashes at the first string it gets from numpy 2."""
    try:
        version = version or importlib.metadata.version("numpy")
    except importlib.metadata.PackageNotFoundError:
        version = "none"
    if not version.startswith("1."):
        raise EnvironmentBroken(
            f"Trident's environment has numpy {version}: Triton's Python stub cannot use it.",
            "the stub was built before numpy 2 and crashes on the first request that carries text",
            "`python -m pip install 'numpy<2'` there; keep packages that want numpy 2 in another environment",
        )


def _pytriton() -> tuple[Path, str]:
    """The site-packages that hold pytriton, and its version."""
    try:
        spec = importlib.util.find_spec("pytriton")
        version = importlib.metadata.version(PYTRITON)
    except importlib.metadata.PackageNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        raise _incomplete(f"the package {PYTRITON} is not installed beside Trident")
    return Path(spec.origin).parent.parent, version


def _incomplete(why: str) -> EnvironmentBroken:
    return EnvironmentBroken(
        "tritonserver is missing.", why, f"python -m pip install --force-reinstall --no-deps {PYTRITON}==0.7.0"
    )


def _place(data_dir: Path, version: str, python_version: str, libpython: Path) -> Path:
    """Named after everything that goes into it, so a finished folder is never changed."""
    key = hashlib.sha256(os.fsencode(libpython) + VLLM_BACKEND.encode()).hexdigest()[:8]
    return data_dir / "triton" / f"pytriton-{version}-py{python_version}-{key}"


def _assemble(place: Path, files: list[Path], libpython: Path) -> None:
    """Builds in a temporary folder and renames it: several starts at once may race, one wins, all are content."""
    checks.check_writable(place.parent)
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=place.parent))
    try:
        temporary.chmod(0o755)
        backend, vllm, lib = (temporary / name for name in ("backends/python", "backends/vllm", "lib"))
        for folder in (backend, vllm, lib):
            folder.mkdir(parents=True)
        (vllm / "model.py").write_text(VLLM_BACKEND, encoding="utf-8")
        for file in files:
            shutil.copy(file, backend / file.name)
        (backend / STUB_NAME).chmod(0o755)
        # By itself: the folder it lies in may hold other libraries (conda's does) that tritonserver must not get.
        (lib / libpython.name).symlink_to(libpython)
        try:
            temporary.rename(place)
        except OSError:
            if not place.is_dir():
                raise
    except OSError as error:
        raise EnvironmentBroken(
            "Triton's Python backend could not be put together.",
            f"{error.strerror or error} ({place})",
            "free some space, or set TRIDENT_DATA_DIR to a folder of yours",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
