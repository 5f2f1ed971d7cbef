from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from trident.errors import EnvironmentBroken
from trident.runtime import control_env

PYTHON_VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site-packages that looks like pytriton's wheel."""
    site = tmp_path / "site"
    root = site / "pytriton" / "tritonserver"
    for name in (
        "bin/tritonserver",
        "backends/python/libtriton_python.so",
        "backends/python/triton_python_backend_utils.py",
        f"python_backend_stubs/{PYTHON_VERSION}/triton_python_backend_stub",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (site / "nvidia_pytriton.libs").mkdir()
    library = tmp_path / f"libpython{PYTHON_VERSION}.so.1.0"
    library.touch()
    monkeypatch.setattr(control_env, "_pytriton", lambda: (site, "0.7.0"))
    monkeypatch.setattr(control_env, "check_numpy", lambda: None)
    monkeypatch.setattr(control_env, "find_libpython", lambda _: library)
    return site


def test_backend_folder_holds_library_utilities_and_stub(site: Path, tmp_path: Path) -> None:
    install = control_env.triton_install(tmp_path / "data")
    backend = install.backend_dir / "python"
    assert sorted(path.name for path in backend.iterdir()) == [
        "libtriton_python.so",
        "triton_python_backend_stub",
        "triton_python_backend_utils.py",
    ]
    assert os.access(backend / "triton_python_backend_stub", os.X_OK)
    assert install.library_dirs[0] == site / "nvidia_pytriton.libs"
    assert [path.name for path in install.library_dirs[1].iterdir()] == [f"libpython{PYTHON_VERSION}.so.1.0"]


@pytest.mark.usefixtures("site")
def test_backend_folder_is_put_together_once(tmp_path: Path) -> None:
    first = control_env.triton_install(tmp_path / "data")
    made = first.backend_dir.stat().st_ino
    assert control_env.triton_install(tmp_path / "data") == first
    assert first.backend_dir.stat().st_ino == made
    assert len(list((tmp_path / "data" / "triton").iterdir())) == 1


def test_missing_stub_is_named(site: Path, tmp_path: Path) -> None:
    next(site.rglob("triton_python_backend_stub")).unlink()
    with pytest.raises(EnvironmentBroken, match="triton_python_backend_stub is not there"):
        control_env.triton_install(tmp_path / "data")
