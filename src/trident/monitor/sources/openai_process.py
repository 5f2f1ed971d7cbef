"""``process_*`` of the OpenAI server, under Prometheus's usual names: vLLM's dashboards ask for them, and a vLLM whose
front-end is more than one process does not export them."""

from __future__ import annotations

import asyncio
import resource
import time
from pathlib import Path

from trident.monitor.sources.processes import TICKS_PER_S, use_of
from trident.monitor.text import Family
from trident.supervisor import state
from trident.supervisor.processes import Process

OPENAI_SERVER = "openai server"


class OpenAIProcess:
    """Of the server with this run directory. With several engines each has one, told apart by its host's name."""

    name = "openai_process"

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir

    async def read(self) -> str:
        """Nothing while no OpenAI server runs."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> str:
        started = Family("process_start_time_seconds", "gauge", "Start of the OpenAI server, since the epoch")
        cpu = Family("process_cpu_seconds_total", "counter", "CPU time of the OpenAI server, user and system")
        resident = Family("process_resident_memory_bytes", "gauge", "Resident memory of the OpenAI server")
        open_fds = Family("process_open_fds", "gauge", "Open file descriptors of the OpenAI server")
        most_fds = Family("process_max_fds", "gauge", "Most file descriptors that it may open")
        server = state.load(self._run_dir)
        for child in server.children if server is not None else ():
            process = child.parts.get(OPENAI_SERVER)
            use = use_of(process) if process is not None else None
            if process is None or use is None:
                continue
            started.add(_started_s(process), child=child.name)
            cpu.add(use.cpu_s, child=child.name)
            resident.add(use.resident_bytes, child=child.name)
            open_fds.add(use.open_fds, child=child.name)
            if (limit := _most_fds(process)) is not None:
                most_fds.add(limit, child=child.name)
        return "".join(family.text() for family in (started, cpu, resident, open_fds, most_fds))


def _started_s(process: Process) -> float:
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - process.started_ticks / TICKS_PER_S
    return time.time() - age_s


def _most_fds(process: Process) -> int | None:
    try:
        return resource.prlimit(process.pid, resource.RLIMIT_NOFILE)[0]
    except (ProcessLookupError, PermissionError):
        return None
