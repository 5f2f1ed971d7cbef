"""What NVIDIA's driver says of its GPUs (NVML). Where there is no driver there is nothing, and nothing is imported."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trident.monitor.sources.child_names import ChildNames, owner
from trident.monitor.sources.gpu_families import FAMILIES, GpuFamilies
from trident.monitor.sources.source import SourceFailed
from trident.runtime.nvml import text

LIBRARY = "libnvidia-ml.so.1"
MOST_EVENTS = 64
"""Of one look: a GPU that falls off the bus repeats itself."""


def load() -> Any:
    """The module ``pynvml``, None where no driver is installed."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    import pynvml

    return pynvml


class Gpus:
    """All that the driver shows, whoever uses them; memory is told apart by the processes of the server with this run
    directory. ``nvml`` loads the library."""

    name = "gpus"

    def __init__(self, run_dir: Path, nvml: Callable[[], Any] = load) -> None:
        self._names = ChildNames(run_dir)
        self._nvml = nvml()
        self._gpus: list[Gpu] | None = None
        self._xid_events: Any = None

    async def read(self) -> str:
        """Empty without a driver. Raises SourceFailed when the driver does not answer."""
        if self._nvml is None:
            return ""
        return await asyncio.to_thread(self._read)

    def _read(self) -> str:
        nvml = self._nvml
        try:
            if self._gpus is None:
                nvml.nvmlInit()
                self._gpus = [Gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
                self._xid_events = self._listen(self._gpus)
            self._take_xids(self._gpus)
            named = {process.pid: name for name, process in self._names.processes().items()}
            families = GpuFamilies()
            for gpu in self._gpus:
                gpu.write(families, named)
            return families.text()
        except nvml.NVMLError as error:
            # After a reset of the driver the old handles are of no use.
            self._gpus = None
            with contextlib.suppress(nvml.NVMLError):
                nvml.nvmlShutdown()
            raise SourceFailed(f"NVML: {error}") from error

    def _listen(self, gpus: list[Gpu]) -> Any:
        """Events are kept by the driver between two looks."""
        nvml = self._nvml
        try:
            events = nvml.nvmlEventSetCreate()
        except nvml.NVMLError:
            return None
        for gpu in gpus:
            with contextlib.suppress(nvml.NVMLError):
                nvml.nvmlDeviceRegisterEvents(gpu.handle, nvml.nvmlEventTypeXidCriticalError, events)
                gpu.xids = 0
        return events

    def _take_xids(self, gpus: list[Gpu]) -> None:
        nvml = self._nvml
        if self._xid_events is None:
            return
        for _ in range(MOST_EVENTS):
            try:
                event = nvml.nvmlEventSetWait_v2(self._xid_events, 0)
            except nvml.NVMLError_Timeout:
                return
            for gpu in gpus:
                if _address(gpu.handle) == _address(event.device) and gpu.xids is not None:
                    gpu.xids += 1
                    gpu.last_xid = int(event.eventData)


class Gpu:
    """One of them. ``xids`` counts the driver's critical errors since the monitor's start, None where it cannot."""

    def __init__(self, nvml: Any, index: int) -> None:
        self._nvml = nvml
        self.handle = nvml.nvmlDeviceGetHandleByIndex(index)
        self.labels = {
            "gpu": str(index),
            "name": text(nvml.nvmlDeviceGetName(self.handle)),
            "uuid": text(nvml.nvmlDeviceGetUUID(self.handle)),
        }
        self.xids: int | None = None
        self.last_xid: int | None = None

    def write(self, families: GpuFamilies, named: dict[int, str]) -> None:
        """Of one that has fallen off the bus that it has. Raises NVMLError for the driver's other troubles."""
        is_lost = False
        try:
            self._read(families, named)
        except self._nvml.NVMLError_GpuIsLost:
            is_lost = True
        families.add("trident_gpu_up", not is_lost, **self.labels)
        if self.xids is not None:
            families.add("trident_gpu_xid_errors_total", self.xids, **self.labels)
        if self.last_xid is not None:
            families.add("trident_gpu_last_xid", self.last_xid, **self.labels)

    def _read(self, families: GpuFamilies, named: dict[int, str]) -> None:
        """What this GPU does not know (a slice of a GPU knows less) is left out."""
        nvml = self._nvml
        for family, reading in FAMILIES.items():
            try:
                for labels, value in reading(nvml, self.handle):
                    families.add(family, value, **self.labels, **labels)
            except (nvml.NVMLError_NotSupported, nvml.NVMLError_NoPermission, nvml.NVMLError_FunctionNotFound):
                continue
        for child, used_bytes in self._process_memory(named).items():
            families.add("trident_gpu_process_memory_bytes", used_bytes, **self.labels, child=child)

    def _process_memory(self, named: dict[int, str]) -> dict[str, int]:
        found: dict[str, int] = {}
        with contextlib.suppress(self._nvml.NVMLError_NotSupported, self._nvml.NVMLError_NoPermission):
            for process in self._nvml.nvmlDeviceGetComputeRunningProcesses(self.handle):
                child = owner(process.pid, named)
                found[child] = found.get(child, 0) + (process.usedGpuMemory or 0)
        return found


def _address(handle: Any) -> Any:
    """A handle is a pointer; a lost GPU does not even say its name any more."""
    try:
        return ctypes.cast(handle, ctypes.c_void_p).value
    except (TypeError, ctypes.ArgumentError):
        return handle
