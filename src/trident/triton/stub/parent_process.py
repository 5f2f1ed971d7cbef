"""The tritonserver that a stub belongs to, and what it lets its relatives know."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

STUB_PROGRAM = b"triton_python_backend_stub"
PARENT_PID = 5
"""Place on the stub's command line: program, model, shared memory, two sizes, pid (python_backend 24.10)."""


def triton_pid(command_line: Path = Path("/proc/self/cmdline")) -> int:
    """The process that this stub answers for. Triton writes its pid on the stub's command line; the kernel's answer
    would be somebody else's when Triton has died while the stub was starting."""
    words = command_line.read_bytes().split(b"\0")
    is_stub = words[0].endswith(STUB_PROGRAM) and len(words) > PARENT_PID and words[PARENT_PID].isdigit()
    return int(words[PARENT_PID]) if is_stub else os.getppid()


ENDING = "trident-ending"
"""A process's name, which outlives it: at most 15 bytes. A stub that has it was told to end and has nothing in hand."""


def say_that_it_ends(name: Path = Path("/proc/self/comm")) -> None:
    """python_backend 24.10 may end with a fault of its own after it was told to: that must not be taken for a crash."""
    with contextlib.suppress(OSError):
        name.write_text(ENDING)
