"""The machine: what its cores do, memory, load, and room on the disk and in shared memory."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from trident.monitor.text import Family

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
"""The first columns of ``/proc/stat``, in its order; what guests use is in ``user`` already."""
KIBIBYTE = 1024


class Host:
    """``folder`` is on the disk whose room matters: the state directory's. ``proc`` and ``shm`` are for tests."""

    name = "host"

    def __init__(self, folder: Path, proc: Path = Path("/proc"), shm: Path = Path("/dev/shm")) -> None:
        self._folder = folder
        self._proc = proc
        self._shm = shm

    async def read(self) -> str:
        """A disk may be a slow one, over a network."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> str:
        cpu = Family("trident_host_cpu_seconds_total", "counter", "Time of all cores, by what they did")
        ticks = (self._proc / "stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
        for mode, count in zip(MODES, ticks, strict=False):
            cpu.add(int(count) / TICKS_PER_S, mode=mode)
        return cpu.text() + "".join(_gauge(name, help_text, value) for name, help_text, value in self._gauges())

    def _gauges(self) -> list[tuple[str, str, float]]:
        memory = _memory_kib(self._proc / "meminfo")
        load1 = float((self._proc / "loadavg").read_text(encoding="ascii").split()[0])
        found = [
            ("memory_total_bytes", "Memory of the machine", memory["MemTotal"] * KIBIBYTE),
            ("memory_available_bytes", "Memory that programs can still have", memory["MemAvailable"] * KIBIBYTE),
            ("load1", "Processes that run or wait for a core or a disk, mean of a minute", load1),
            ("disk_free_bytes", "Room for this user where the server's state lies", _free_bytes(self._folder)),
        ]
        if self._shm.is_dir():
            found.append(
                ("shm_free_bytes", "Room in /dev/shm, which stubs and tritonserver share", _free_bytes(self._shm))
            )
        return found


def _gauge(name: str, help_text: str, value: float) -> str:
    family = Family(f"trident_host_{name}", "gauge", help_text)
    family.add(value)
    return family.text()


def _memory_kib(meminfo: Path) -> dict[str, int]:
    lines = (line.split() for line in meminfo.read_text(encoding="ascii").splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) > 1}


def _free_bytes(folder: Path) -> int:
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize
