from __future__ import annotations

import builtins
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trident.errors import EnvironmentBroken
from trident.runtime import checks, control_env, engine_env, hardware, libpython, uv
from trident.runtime.hardware import Gpu, Hardware

GPU = Gpu(0, "NVIDIA H100", 80 << 30, (9, 0))


def three_lines(error: EnvironmentBroken) -> str:
    lines = error.lines()
    assert len(lines) == 3 and all("\n" not in line for line in lines) and error.exit_code == 3
    return str(error)


@pytest.mark.parametrize("version", [(3, 9), (3, 13)])
def test_wrong_python_is_named(version: tuple[int, int]) -> None:
    with pytest.raises(EnvironmentBroken) as caught:
        checks.check_python(version)
    assert f"Python {version[0]}.{version[1]}" in three_lines(caught.value)


def test_wrong_platform_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.platform, "machine", lambda: "aarch64")
    with pytest.raises(EnvironmentBroken) as caught:
        checks.check_platform()
    assert "aarch64" in three_lines(caught.value)


def test_old_glibc_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_glibc_version", lambda: (2, 17))
    with pytest.raises(EnvironmentBroken) as caught:
        checks.check_platform()
    assert "glibc 2.17" in three_lines(caught.value)


def test_too_little_disk_says_how_much_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 30))
    with pytest.raises(EnvironmentBroken) as caught:
        checks.check_disk(tmp_path, "cuda")
    assert "1.0 GiB free" in three_lines(caught.value) and "12 GiB" in str(caught.value)


def test_data_folder_under_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentBroken) as caught:
        checks.check_writable(tmp_path / "file" / "data")
    assert "TRIDENT_DATA_DIR" in three_lines(caught.value)


def test_cuda_without_a_driver_is_refused() -> None:
    with pytest.raises(EnvironmentBroken) as caught:
        checks.check_cuda(Hardware(2, 1, gpu_problem="no NVIDIA driver is loaded"))
    assert "no NVIDIA driver" in three_lines(caught.value)


def test_auto_with_too_old_a_driver_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "detect", lambda: Hardware(2, 1, (GPU,), "550.1", (12, 4)))
    with pytest.raises(EnvironmentBroken) as caught:
        engine_env.chosen_build("auto")
    assert "CUDA up to 12.4" in three_lines(caught.value)


@pytest.mark.parametrize(("gpus", "build"), [((), "cpu"), ((GPU,), "cuda")])
def test_auto_follows_the_machine(monkeypatch: pytest.MonkeyPatch, gpus: tuple[Gpu, ...], build: str) -> None:
    monkeypatch.setattr(hardware, "detect", lambda: Hardware(2, 1, gpus, "580.1", (13, 0)))
    assert engine_env.chosen_build("auto") == build


def test_hidden_gpus_do_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hardware, "DRIVER_MARKS", (tmp_path,))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = hardware.detect()
    assert found.gpus == () and "CUDA_VISIBLE_DEVICES" in found.gpu_problem and found.memory_bytes > 0


def test_missing_libpython_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libpython, "_folders", lambda: iter([Path("/nonexistent")]))
    monkeypatch.setattr(libpython, "_from_linker_cache", lambda _: None)
    with pytest.raises(EnvironmentBroken) as caught:
        libpython.find_libpython("3.12")
    assert "apt-get install libpython3.12" in three_lines(caught.value)


@pytest.mark.parametrize("version", ["2.1.0", "2.0"])
def test_numpy_2_is_refused(version: str) -> None:
    with pytest.raises(EnvironmentBroken) as caught:
        control_env.check_numpy(version)
    assert version in three_lines(caught.value)


def test_missing_uv_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_uv(name: str, *rest: Any) -> Any:
        if name == "uv":
            raise ImportError("No module named 'uv'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_uv)
    with pytest.raises(EnvironmentBroken) as caught:
        uv.find_uv()
    assert "uv is missing" in three_lines(caught.value)
