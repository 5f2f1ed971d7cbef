from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from trident.runtime import hardware, nvml
from trident.runtime.nvml import Driver


class NVMLError(Exception):
    pass


class NotSupported(NVMLError):
    pass


def driver(monkeypatch: pytest.MonkeyPatch, *, gpus: int = 1, **changed: Any) -> list[str]:
    """NVML as it would be with so many GPUs; returns what is told when it is shut down."""
    ended: list[str] = []
    functions = {
        "NVMLError": NVMLError,
        "NVMLError_NotSupported": NotSupported,
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: ended.append("shut down"),
        "nvmlDeviceGetCount": lambda: gpus,
        "nvmlSystemGetCudaDriverVersion": lambda: 13010,
        "nvmlSystemGetDriverVersion": lambda: b"580.65.06",
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetCudaComputeCapability": lambda _: (9, 0),
        "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(total=80 << 30, free=70 << 30),
        "nvmlDeviceGetName": lambda index: f"GPU number {index}",
        **changed,
    }
    monkeypatch.setitem(sys.modules, "pynvml", SimpleNamespace(**functions))
    return ended


def failing(*_: Any) -> Any:
    raise NVMLError("no")


def test_driver_tells_its_versions_and_each_gpu_as_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = driver(monkeypatch, gpus=2)
    assert nvml.ask(lambda _, index: index) == Driver((0, 1), "580.65.06", (13, 1))
    assert ended == ["shut down"]


def test_driver_without_a_gpu_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    driver(monkeypatch, gpus=0)
    assert nvml.ask(lambda _, index: index).problem == "the NVIDIA driver reports no GPU"


@pytest.mark.parametrize(
    ("function", "problem", "ends"),
    [("nvmlInit", "NVML does not answer: no", []), ("nvmlDeviceGetCount", "NVML fails: no", ["shut down"])],
)
def test_broken_driver_is_a_problem_and_no_error(
    monkeypatch: pytest.MonkeyPatch, function: str, problem: str, ends: list[str]
) -> None:
    ended = driver(monkeypatch, **{function: failing})
    assert nvml.ask(lambda _, index: index) == Driver(problem=problem)
    assert ended == ends


def test_gpu_that_shares_the_machines_memory_has_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_known(_: int) -> Any:
        raise NotSupported

    driver(monkeypatch, nvmlDeviceGetMemoryInfo=not_known)
    monkeypatch.setattr(hardware, "DRIVER_MARKS", (hardware.Path("/proc/self"),))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = hardware.detect()
    assert [(gpu.name, gpu.compute_capability) for gpu in found.gpus] == [("GPU number 0", (9, 0))]
    assert found.gpus[0].memory_bytes == found.memory_bytes
    assert (found.driver_version, found.cuda_version, found.gpu_problem) == ("580.65.06", (13, 1), "")
