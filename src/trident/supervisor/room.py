"""Is there memory for a second engine beside the one that serves?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

MARGIN = 1.2
GPU_SHARE = 0.92
"""vLLM's default for ``gpu_memory_utilization``."""
CGROUP = Path("/sys/fs/cgroup")
WEIGHTS = ("*.safetensors", "*.bin", "*.gguf", "*.pt")


def lacking_on_cpu(pids: Iterable[int], growth_bytes: int) -> str | None:
    """Why there is none in the machine's memory beside the processes of one, None when there is. The other is taken to
    need as much and ``growth_bytes`` more."""
    used_bytes = sum(map(_used_bytes, pids))
    wanted_bytes = int((used_bytes + max(0, growth_bytes)) * MARGIN)
    free = free_bytes()
    if free >= wanted_bytes:
        return None
    return f"a second engine needs about {_gib(wanted_bytes)} of memory, and {_gib(free)} are free"


def lacking_on_gpus(share: float) -> str | None:
    """The same of GPU memory, of which a vLLM takes ``share`` of the whole (``gpu_memory_utilization``)."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return f"how much GPU memory is free is not known ({error})"
    try:
        for index in range(pynvml.nvmlDeviceGetCount()):
            memory = pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByIndex(index))
            if memory.free < share * memory.total:
                taken = f"{share:.0%} of GPU {index} ({_gib(share * memory.total)}: gpu_memory_utilization)"
                return f"a second engine takes {taken}, and {_gib(memory.free)} are free"
    except pynvml.NVMLError as error:
        return f"how much GPU memory is free is not known ({error})"
    finally:
        pynvml.nvmlShutdown()
    return None


def weights_bytes(folder: Path) -> int:
    """The size of a model's weight files."""
    return sum(file.stat().st_size for pattern in WEIGHTS for file in folder.glob(pattern))


def _used_bytes(pid: int) -> int:
    """Of the process and all below it; what forked processes share is counted once."""
    import psutil

    total = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += one.memory_full_info().pss
    return total


def free_bytes() -> int:
    """Memory that processes may still take: the machine's, or less where the container's limit is lower."""
    import psutil

    free = int(psutil.virtual_memory().available)
    with contextlib.suppress(OSError, ValueError):  # no limit is the word "max"
        limit, used = (int((CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        free = min(free, limit - used + _reclaimable_bytes())
    return free


def _reclaimable_bytes() -> int:
    """Files that the kernel keeps in memory count as used in a container."""
    lines = (CGROUP / "memory.stat").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.split()[0] == "inactive_file")


def _gib(size_bytes: float) -> str:
    return f"{size_bytes / 2**30:.1f} GiB"
