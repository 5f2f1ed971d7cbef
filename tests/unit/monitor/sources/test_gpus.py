from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import monitor_fakes as fakes
import pynvml
import pytest

from trident.monitor.sources import gpus
from trident.monitor.sources.gpus import Gpus
from trident.monitor.sources.source import SourceFailed

GPU = (("gpu", "0"), ("name", "H100"), ("uuid", "GPU-1"))


class FakeNvml:
    """A driver with one GPU that knows what ``knows`` says."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0
    NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC = 1, 0
    nvmlEventTypeXidCriticalError = 8
    NVMLError = pynvml.NVMLError
    NVMLError_NotSupported = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED).__class__
    NVMLError_NoPermission = pynvml.NVMLError(pynvml.NVML_ERROR_NO_PERMISSION).__class__
    NVMLError_FunctionNotFound = pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND).__class__
    NVMLError_GpuIsLost = pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST).__class__
    NVMLError_Timeout = pynvml.NVMLError(pynvml.NVML_ERROR_TIMEOUT).__class__

    def __init__(self, *lacks: str) -> None:
        self.lacks = set(lacks)
        self.trouble: int | None = None
        self.xids: list[int] = []
        self.inits = 0

    def nvmlInit(self) -> None:
        self.inits += 1

    def nvmlShutdown(self) -> None: ...

    def nvmlDeviceGetCount(self) -> int:
        return 1

    def nvmlEventSetCreate(self) -> str:
        return "events"

    def nvmlEventSetWait_v2(self, _events: str, timeout_ms: int) -> Any:
        assert timeout_ms == 0
        if not self.xids:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_TIMEOUT)
        return SimpleNamespace(device="gpu", eventData=self.xids.pop(0))

    def __getattr__(self, name: str) -> Any:
        answers = {
            "nvmlDeviceGetHandleByIndex": "gpu",
            "nvmlDeviceGetName": "H100",
            "nvmlDeviceGetUUID": b"GPU-1",
            "nvmlDeviceRegisterEvents": None,
            "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=75),
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(used=2**30, total=2**36),
            "nvmlDeviceGetPowerUsage": 350_000,
            "nvmlDeviceGetEnforcedPowerLimit": 700_000,
            "nvmlDeviceGetTotalEnergyConsumption": 5_000,
            "nvmlDeviceGetTemperature": 64,
            "nvmlDeviceGetClockInfo": 1980,
            "nvmlDeviceGetCurrentClocksThrottleReasons": 0x4 | 0x40,
            "nvmlDeviceGetTotalEccErrors": 2,
            "nvmlDeviceGetComputeRunningProcesses": [
                SimpleNamespace(pid=os.getpid(), usedGpuMemory=2**29),
                SimpleNamespace(pid=2**22 + 1, usedGpuMemory=None),
            ],
        }
        if name not in answers:
            raise AttributeError(name)

        def call(*_: Any) -> Any:
            if self.trouble is not None:
                raise pynvml.NVMLError(self.trouble)
            if name in self.lacks:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
            return answers[name]

        return call


def test_gpu_is_read_in_our_units(tmp_path: Path) -> None:
    fakes.save_state(tmp_path)

    found = fakes.read(Gpus(tmp_path, lambda: FakeNvml()))

    assert found["trident_gpu_utilization_ratio"] == {GPU: 0.75}
    assert found["trident_gpu_memory_used_bytes"] == {GPU: 2**30}
    assert found["trident_gpu_memory_total_bytes"] == {GPU: 2**36}
    assert found["trident_gpu_power_watts"] == {GPU: 350}
    assert found["trident_gpu_power_limit_watts"] == {GPU: 700}
    assert found["trident_gpu_energy_joules_total"] == {GPU: 5}
    assert found["trident_gpu_temperature_celsius"] == {GPU: 64}
    assert found["trident_gpu_clock_hertz"][(("clock", "sm"), *GPU)] == 1.98e9
    reasons = {dict(labels)["reason"]: value for labels, value in found["trident_gpu_throttled"].items()}
    assert {reason for reason, value in reasons.items() if value} == {"sw_power_cap", "hw_thermal_slowdown"}
    assert found["trident_gpu_ecc_uncorrected_errors_total"] == {GPU: 2}
    assert found["trident_gpu_process_memory_bytes"] == {
        (("child", "supervisor"), *GPU): 2**29,
        (("child", "other"), *GPU): 0,
    }


def test_what_a_gpu_does_not_know_is_absent(tmp_path: Path) -> None:
    nvml = FakeNvml("nvmlDeviceGetPowerUsage", "nvmlDeviceRegisterEvents", "nvmlDeviceGetComputeRunningProcesses")

    found = fakes.read(Gpus(tmp_path, lambda: nvml))

    assert found["trident_gpu_temperature_celsius"] == {GPU: 64}
    assert not set(found) & {
        "trident_gpu_power_watts",
        "trident_gpu_xid_errors_total",
        "trident_gpu_process_memory_bytes",
    }


def test_critical_errors_are_counted_from_zero(tmp_path: Path) -> None:
    nvml = FakeNvml()
    source = Gpus(tmp_path, lambda: nvml)
    assert fakes.read(source)["trident_gpu_xid_errors_total"] == {GPU: 0}

    nvml.xids = [79, 31]

    found = fakes.read(source)
    assert found["trident_gpu_xid_errors_total"] == {GPU: 2}
    assert found["trident_gpu_last_xid"] == {GPU: 31}


def test_gpu_that_is_lost_is_down_and_keeps_its_errors(tmp_path: Path) -> None:
    nvml = FakeNvml()
    source = Gpus(tmp_path, lambda: nvml)
    assert fakes.read(source)["trident_gpu_up"] == {GPU: 1}
    nvml.xids = [79]
    fakes.read(source)
    nvml.trouble = pynvml.NVML_ERROR_GPU_IS_LOST

    found = fakes.read(source)

    assert found["trident_gpu_up"] == {GPU: 0}
    assert found["trident_gpu_xid_errors_total"] == {GPU: 1}
    assert "trident_gpu_temperature_celsius" not in found


def test_driver_that_fails_is_begun_with_anew(tmp_path: Path) -> None:
    nvml = FakeNvml()
    source = Gpus(tmp_path, lambda: nvml)
    fakes.read(source)
    nvml.trouble = pynvml.NVML_ERROR_UNKNOWN

    with pytest.raises(SourceFailed, match="NVML"):
        asyncio.run(source.read())

    nvml.trouble = None
    assert fakes.read(source)["trident_gpu_temperature_celsius"] == {GPU: 64}
    assert nvml.inits == 2


def test_without_a_driver_there_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "LIBRARY", "libno-such-driver.so.1")

    assert asyncio.run(Gpus(tmp_path).read()) == ""
