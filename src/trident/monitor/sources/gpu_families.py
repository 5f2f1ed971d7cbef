"""The families of a GPU, and how each is read from NVML."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from trident.monitor.text import Family, Kind

Readings = Iterator[tuple[dict[str, str], float]]
Reading = Callable[[Any, Any], Readings]
"""Of the library and a GPU's handle; raises NVMLError where the GPU does not know."""

MILLI = 1000
MEGA = 1_000_000
CLOCKS = {"sm": "NVML_CLOCK_SM", "memory": "NVML_CLOCK_MEM"}
THROTTLES = {
    "sw_power_cap": 0x4,
    "hw_slowdown": 0x8,
    "sync_boost": 0x10,
    "sw_thermal_slowdown": 0x20,
    "hw_thermal_slowdown": 0x40,
    "hw_power_brake_slowdown": 0x80,
}
"""Bits of nvmlClocksThrottleReasons (nvml.h); idleness and a clock that a user has set are left out."""

ABOUT: dict[str, tuple[Kind, str]] = {
    "trident_gpu_up": ("gauge", "0 when the driver has lost the GPU"),
    "trident_gpu_utilization_ratio": ("gauge", "Part of the last sample in which a kernel ran"),
    "trident_gpu_memory_used_bytes": ("gauge", "Memory in use, by all"),
    "trident_gpu_memory_total_bytes": ("gauge", "Memory of the GPU"),
    "trident_gpu_power_watts": ("gauge", "Power"),
    "trident_gpu_power_limit_watts": ("gauge", "Power at which the clocks are lowered"),
    "trident_gpu_energy_joules_total": ("counter", "Energy since the driver was loaded"),
    "trident_gpu_temperature_celsius": ("gauge", "Temperature of the chip"),
    "trident_gpu_clock_hertz": ("gauge", "Clock"),
    "trident_gpu_throttled": ("gauge", "1 while the clocks are lowered for this reason"),
    "trident_gpu_ecc_uncorrected_errors_total": ("counter", "Errors of the memory that were not corrected"),
    "trident_gpu_xid_errors_total": ("counter", "Critical errors (XID) that the driver has reported since the start"),
    "trident_gpu_last_xid": ("gauge", "Number of the latest one"),
    "trident_gpu_process_memory_bytes": ("gauge", "Memory that a process of the server has; other: somebody else"),
}


class GpuFamilies:
    """All families of all GPUs, while a page is made."""

    def __init__(self) -> None:
        self._families = {name: Family(name, kind, text) for name, (kind, text) in ABOUT.items()}

    def add(self, family: str, value: float, **labels: str) -> None:
        """One sample."""
        self._families[family].add(value, **labels)

    def text(self) -> str:
        """Those that have any."""
        return "".join(family.text() for family in self._families.values())


def _one(value: float) -> Readings:
    yield {}, value


def _clocks(nvml: Any, handle: Any) -> Readings:
    for clock, kind in CLOCKS.items():
        yield {"clock": clock}, nvml.nvmlDeviceGetClockInfo(handle, getattr(nvml, kind)) * MEGA


def _throttles(nvml: Any, handle: Any) -> Readings:
    reasons = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
    for reason, bit in THROTTLES.items():
        yield {"reason": reason}, int(bool(reasons & bit))


def _uncorrected(nvml: Any, handle: Any) -> Readings:
    kind, since = nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
    return _one(nvml.nvmlDeviceGetTotalEccErrors(handle, kind, since))


FAMILIES: dict[str, Reading] = {
    "trident_gpu_utilization_ratio": lambda nvml, gpu: _one(nvml.nvmlDeviceGetUtilizationRates(gpu).gpu / 100),
    "trident_gpu_memory_used_bytes": lambda nvml, gpu: _one(nvml.nvmlDeviceGetMemoryInfo(gpu).used),
    "trident_gpu_memory_total_bytes": lambda nvml, gpu: _one(nvml.nvmlDeviceGetMemoryInfo(gpu).total),
    "trident_gpu_power_watts": lambda nvml, gpu: _one(nvml.nvmlDeviceGetPowerUsage(gpu) / MILLI),
    "trident_gpu_power_limit_watts": lambda nvml, gpu: _one(nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / MILLI),
    "trident_gpu_energy_joules_total": lambda nvml, gpu: _one(nvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / MILLI),
    "trident_gpu_temperature_celsius": lambda nvml, gpu: _one(
        nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU)
    ),
    "trident_gpu_clock_hertz": _clocks,
    "trident_gpu_throttled": _throttles,
    "trident_gpu_ecc_uncorrected_errors_total": _uncorrected,
}
