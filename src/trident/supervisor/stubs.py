"""Triton's Python stub processes, known by their command lines (python_backend 24.10):

…/triton_python_backend_stub MODEL.PY SHARED_MEMORY SIZE GROWTH TRITON_PID FOLDER HANDLE INSTANCE …
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from trident.runtime.control_env import STUB_NAME
from trident.supervisor import shared_memory, triton_scratch
from trident.supervisor.processes import Process, identify
from trident.supervisor.reach import http_json

_REGION, _TRITON_PID, _INSTANCE = 2, 5, 8
PART = "stub "


@dataclass(frozen=True)
class Stub:
    """One stub, the name of its shared memory and Triton's name of its instance (``generate_0_0``)."""

    process: Process
    region: str
    instance: str


def of(triton_pid: int) -> list[Stub]:
    """The stubs of a tritonserver, also of one that has ended."""
    import psutil

    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if len(words) > _INSTANCE and words[0].endswith(STUB_NAME) and words[_TRITON_PID] == str(triton_pid):
            identity = identify(process.pid)
            if identity is not None:
                found.append(Stub(identity, words[_REGION], words[_INSTANCE]))
    return found


class Parts:
    """The instances' stubs as parts of a tritonserver, see ``Command``."""

    def __init__(self, host: str, http_port: int) -> None:
        self._host = host
        self._http_port = http_port

    def find(self, triton_pid: int) -> dict[str, int]:
        """Pids by name."""
        return {PART + stub.instance: stub.process.pid for stub in of(triton_pid)}

    async def is_wanted(self, part: str) -> bool:
        """Whether tritonserver counts on a stub that has gone. It calls a model ready whose stub has died; one that it
        has unloaded is not ready, and one that was loaded again may have fewer instances."""
        try:
            index = await self._ask("/v2/repository/index", {})
            ready = [model["name"] for model in index if model.get("state") == "READY"]
            configs = [await self._ask(f"/v2/models/{quote(name)}/config") for name in ready]
        except (OSError, EOFError, ValueError, asyncio.TimeoutError):
            return True
        instance = part.removeprefix(PART)
        return any(_has(group, instance) for config in configs for group in config.get("instance_group", ()))

    async def _ask(self, path: str, body: Any = None) -> Any:
        _, answer = await http_json(self._host, self._http_port, path, body)
        return answer


def _has(group: dict[str, Any], instance: str) -> bool:
    """``llama_0`` with a count of 2 has ``llama_0_0`` and ``llama_0_1``, one instance alone may be ``llama_0``."""
    name, _, number = instance.rpartition("_")
    return instance == group["name"] or (name == group["name"] and number.isdecimal() and int(number) < group["count"])


class Leftovers:
    """What a killed tritonserver cannot remove itself: stubs, their shared memory, its scratch folder."""

    def __init__(self, triton_pid: int, started: float) -> None:
        """``started`` is when tritonserver was started, in Unix time."""
        self._triton_pid = triton_pid
        self._started = started
        self._regions: set[str] = set()

    def note(self) -> None:
        """Remembers the shared memory of the stubs that are there now."""
        self._regions |= {stub.region for stub in of(self._triton_pid)}

    def remove(self) -> None:
        """Call it when tritonserver has ended."""
        for stub in of(self._triton_pid):
            self._regions.add(stub.region)
            stub.process.kill()
        for region in self._regions:
            shared_memory.remove(region)
        triton_scratch.remove(self._started)
