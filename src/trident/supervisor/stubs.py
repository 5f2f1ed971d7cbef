"""Triton's Python stub processes, known by their command lines (python_backend 24.10):

…/triton_python_backend_stub MODEL.PY SHARED_MEMORY SIZE GROWTH TRITON_PID FOLDER NUMBER INSTANCE …
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from trident.runtime.control_env import STUB_NAME
from trident.supervisor import shared_memory, triton_scratch
from trident.supervisor.processes import Process, identify
from trident.triton.stub.parent_process import PARENT_PID

_REGION = 2
_INSTANCE = 8
_UNNAMED_INSTANCE = re.compile(r"(.+)_\d+_\d+")
"""MODEL_GROUP_NUMBER, unless its model's configuration names the group."""


@dataclass(frozen=True)
class Stub:
    """One stub and the name of its shared memory."""

    process: Process
    region: str


def of(triton_pid: int) -> list[Stub]:
    """The stubs of a tritonserver, also of one that has ended."""
    import psutil

    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if len(words) > PARENT_PID and words[0].endswith(STUB_NAME) and words[PARENT_PID] == str(triton_pid):
            identity = identify(process.pid)
            if identity is not None:
                found.append(Stub(identity, words[_REGION]))
    return found


def model_of(stub: Process) -> str | None:
    """The model that a stub serves; None when that cannot be told."""
    import psutil

    try:
        words = psutil.Process(stub.pid).cmdline()
    except psutil.Error:
        return None
    found = _UNNAMED_INSTANCE.fullmatch(words[_INSTANCE]) if len(words) > _INSTANCE else None
    return found[1] if found else None


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
