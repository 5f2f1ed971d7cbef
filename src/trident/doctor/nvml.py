"""What NVML says about the GPUs, at one moment. Everything that can be unknown may be missing; nothing raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from trident.runtime.nvml import Driver, ask, text

T = TypeVar("T")

# Bits of nvmlDeviceGetCurrentClocksEventReasons that cost speed and are nobody's wish (NVML API reference,
# "Clocks Event Reasons"). Idle, application clocks and the software power cap of normal work are left out.
SLOWDOWNS = {
    0x8: "hardware slowdown (power or temperature)",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake (the machine's power supply asks for less)",
}


@dataclass(frozen=True)
class Holder:
    """A process that has memory on a GPU; ``used_bytes`` is None where the driver does not tell."""

    pid: int
    used_bytes: int | None


@dataclass(frozen=True)
class GpuReading:
    """One GPU. ``slowdowns`` are the reasons for which it runs slower than it could."""

    index: int
    name: str
    uuid: str
    total_bytes: int
    free_bytes: int
    capability: tuple[int, int]
    temperature_c: int | None = None
    clock_mhz: int | None = None
    max_clock_mhz: int | None = None
    slowdowns: tuple[str, ...] = ()
    uncorrected_errors: int = 0
    holders: tuple[Holder, ...] = ()


Reading = Driver[GpuReading]


def read() -> Reading:
    """Of all GPUs; see ``runtime.nvml.ask``."""
    return ask(_gpu)


def _gpu(nvml: Any, index: int) -> GpuReading:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)

    def asked(question: Callable[[], T], otherwise: T) -> T:
        # Many GPUs and virtual ones do not support all of it.
        try:
            return question()
        except nvml.NVMLError:
            return otherwise

    reasons = getattr(nvml, "nvmlDeviceGetCurrentClocksEventReasons", nvml.nvmlDeviceGetCurrentClocksThrottleReasons)
    bits = asked(lambda: int(reasons(handle)), 0)
    return GpuReading(
        index=index,
        name=text(nvml.nvmlDeviceGetName(handle)),
        uuid=text(nvml.nvmlDeviceGetUUID(handle)),
        total_bytes=int(memory.total),
        free_bytes=int(memory.free),
        capability=(int(major), int(minor)),
        temperature_c=asked(lambda: int(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)), None),
        clock_mhz=asked(lambda: int(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)), None),
        max_clock_mhz=asked(lambda: int(nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM)), None),
        slowdowns=tuple(reason for bit, reason in SLOWDOWNS.items() if bits & bit),
        uncorrected_errors=asked(
            lambda: int(
                nvml.nvmlDeviceGetTotalEccErrors(
                    handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
                )
            ),
            0,
        ),
        holders=tuple(_holders(asked(lambda: list(nvml.nvmlDeviceGetComputeRunningProcesses(handle)), []))),
    )


def _holders(processes: list[Any]) -> Iterator[Holder]:
    for process in processes:
        yield Holder(int(process.pid), int(process.usedGpuMemory) if process.usedGpuMemory is not None else None)
