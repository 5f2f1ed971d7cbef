"""What each process of the server uses, as the kernel counts it: the children, their own processes, each stub by its
model, the supervisor and the monitor itself."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import NamedTuple

from trident.monitor.sources.child_names import ChildNames
from trident.monitor.text import Family
from trident.supervisor.processes import Process

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_USER, _SYSTEM, _THREADS, _STARTED, _RESIDENT = 11, 12, 17, 19, 21
"""Fields of ``/proc/PID/stat`` after the name."""


class Use(NamedTuple):
    """Of one process, since its start."""

    cpu_s: float
    resident_bytes: int
    open_fds: int
    threads: int


class Processes:
    """Of the server with this run directory."""

    name = "processes"

    def __init__(self, run_dir: Path) -> None:
        self._names = ChildNames(run_dir)

    async def read(self) -> str:
        """Of those that live."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> str:
        cpu = Family("trident_process_cpu_seconds_total", "counter", "CPU time, in user and system mode")
        resident = Family("trident_process_resident_memory_bytes", "gauge", "Resident memory, shared pages included")
        open_fds = Family("trident_process_open_fds", "gauge", "Open file descriptors")
        threads = Family("trident_process_threads", "gauge", "Threads")
        for child, process in self._names.processes().items():
            use = use_of(process)
            if use is not None:
                cpu.add(use.cpu_s, child=child)
                resident.add(use.resident_bytes, child=child)
                open_fds.add(use.open_fds, child=child)
                threads.add(use.threads, child=child)
        return "".join(family.text() for family in (cpu, resident, open_fds, threads))


def use_of(process: Process) -> Use | None:
    """None when it has ended; its pid may be another's by now."""
    folder = Path(f"/proc/{process.pid}")
    try:
        fields = (folder / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        open_fds = len(os.listdir(folder / "fd"))  # noqa: PTH208 - it needs no Path for each of a thousand
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    if int(fields[_STARTED]) != process.started_ticks:
        return None
    cpu_s = (int(fields[_USER]) + int(fields[_SYSTEM])) / TICKS_PER_S
    return Use(cpu_s, int(fields[_RESIDENT]) * PAGE_BYTES, open_fds, int(fields[_THREADS]))
