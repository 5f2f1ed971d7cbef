"""CPU time of the server's processes and nothing else of them, for readers that look once a second: ``processes`` reads
descriptors and threads too, for five times the cost."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from trident.monitor.text import Family

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_USER, _SYSTEM = 11, 12
"""Fields of ``/proc/PID/stat`` after the name."""
LONGEST_STAT_BYTES = 4096


class ProcessCpu:
    """``pids`` tells those of now by name."""

    name = "process_cpu"

    def __init__(self, pids: Callable[[], Mapping[str, int]]) -> None:
        self._pids = pids

    async def read(self) -> str:
        """Of those that live."""
        cpu = Family("trident_process_cpu_seconds_total", "counter", "CPU time, in user and system mode")
        for name, pid in self._pids().items():
            used_s = cpu_s(pid)
            if used_s is not None:
                cpu.add(used_s, child=name)
        return cpu.text()


def cpu_s(pid: int) -> float | None:
    """Since the process's start; None when there is none."""
    try:
        file = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except (FileNotFoundError, ProcessLookupError):
        return None
    try:
        fields = os.read(file, LONGEST_STAT_BYTES).rpartition(b")")[2].split()
    except ProcessLookupError:
        return None
    finally:
        os.close(file)
    return (int(fields[_USER]) + int(fields[_SYSTEM])) * _TICK_S
