"""What the machine has: cores and memory this process may use, and NVIDIA GPUs with a working driver."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trident.runtime import nvml

# Present exactly when the kernel driver is loaded; looked at first because loading NVML is slow where it is not.
DRIVER_MARKS = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"), Path("/dev/dxg"))
CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass(frozen=True)
class Gpu:
    index: int
    name: str
    memory_bytes: int
    compute_capability: tuple[int, int]


@dataclass(frozen=True)
class Hardware:
    """``cuda_version`` is the newest CUDA the driver can run, ``(0, 0)`` without a driver."""

    cpu_cores: int
    memory_bytes: int
    gpus: tuple[Gpu, ...] = ()
    driver_version: str = ""
    cuda_version: tuple[int, int] = (0, 0)
    gpu_problem: str = ""


def detect() -> Hardware:
    """Looks once; takes milliseconds without a GPU. Never raises for a missing or broken driver: it says so in
    ``gpu_problem``."""
    cores = len(os.sched_getaffinity(0))
    memory_bytes = _memory_bytes()
    if not any(mark.exists() for mark in DRIVER_MARKS):
        return Hardware(cores, memory_bytes, gpu_problem="no NVIDIA driver is loaded")
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return Hardware(cores, memory_bytes, gpu_problem="CUDA_VISIBLE_DEVICES hides every GPU")
    driver = nvml.ask(_gpu)
    return Hardware(cores, memory_bytes, driver.gpus, driver.driver_version, driver.cuda_version, driver.problem)


def _gpu(pynvml: Any, index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    try:
        memory_bytes = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)
    except pynvml.NVMLError_NotSupported:  # GPUs that share the host's memory have none of their own
        memory_bytes = _memory_bytes()
    return Gpu(index, nvml.text(pynvml.nvmlDeviceGetName(handle)), memory_bytes, (int(major), int(minor)))


def _memory_bytes() -> int:
    """Physical memory, or the container's limit where that is lower."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in CGROUP_LIMITS:
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            memory_bytes = min(memory_bytes, int(text))
    return memory_bytes
