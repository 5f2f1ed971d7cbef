"""How busy the GPU is and how fast its clock runs while something is measured, as NVIDIA's driver says."""

from __future__ import annotations

import ctypes
import importlib.util
import statistics
import sys
import threading
from pathlib import Path
from typing import Any

EVERY_S = 0.25


class Gpu:
    """Looks at the first GPU until it is asked; sees nothing where there is no driver."""

    def __init__(self) -> None:
        self._nvml = load()
        self._rows: list[tuple[float, float, float]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        nvml = self._nvml
        if nvml is None:
            return
        nvml.nvmlInit()
        gpu = nvml.nvmlDeviceGetHandleByIndex(0)
        while not self._ended.wait(EVERY_S):
            clock, power = nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM), nvml.nvmlDeviceGetPowerUsage(gpu)
            self._rows.append((nvml.nvmlDeviceGetUtilizationRates(gpu).gpu, clock, power / 1000))

    def said(self) -> dict[str, float]:
        """Medians: percent of the time with a kernel at work, MHz, watts."""
        self._ended.set()
        self._thread.join(5)
        names = ("busy_percent", "sm_mhz", "watts")
        return {
            name: round(statistics.median(column), 1)
            for name, column in zip(names, zip(*self._rows, strict=True), strict=False)
        }


def load() -> Any:
    """The module ``pynvml``, its own or vLLM's copy; None without a driver or a module."""
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    for folder in sys.path:
        for path in (Path(folder) / "pynvml.py", Path(folder) / "vllm" / "third_party" / "pynvml.py"):
            if path.exists() and (spec := importlib.util.spec_from_file_location("pynvml", path)) and spec.loader:
                module = importlib.util.module_from_spec(spec)
                sys.modules["pynvml"] = module  # it looks itself up there
                spec.loader.exec_module(module)
                return module
    return None
