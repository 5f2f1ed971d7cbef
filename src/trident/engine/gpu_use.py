"""Whether an engine's GPUs work. vLLM waits for them on events that use no CPU time (measured on an H100)."""

from __future__ import annotations

import logging
from collections.abc import Callable

from vllm.platforms import current_platform
from vllm.utils.import_utils import import_pynvml

log = logging.getLogger("trident.gpu_use")


def of_engine(engine: int, gpus_per_engine: int) -> Callable[[], bool]:
    """A question that takes 3 ms for each GPU: has a kernel run within NVML's last sample? On an H100 one is seen 0.2 s
    after its start, its end after 0.4 s. Replicas take their GPUs one after the other. What cannot be known (a slice of
    a GPU has no such number) counts as work."""
    if not current_platform.is_cuda():
        return lambda: False
    nvml = import_pynvml()
    try:
        nvml.nvmlInit()
        devices = range(engine * gpus_per_engine, (engine + 1) * gpus_per_engine)
        physical = [current_platform.device_id_to_physical_device_id(device) for device in devices]
        handles = [nvml.nvmlDeviceGetHandleByIndex(device) for device in physical]
    except (nvml.NVMLError, IndexError, ValueError, RuntimeError) as error:
        log.warning("what the GPUs do cannot be known: %s", error)
        return lambda: True

    def are_busy() -> bool:
        try:
            return any(nvml.nvmlDeviceGetUtilizationRates(handle).gpu for handle in handles)
        except nvml.NVMLError:
            return True

    return are_busy
