"""What the kernel says about processes: whether they run, wait or are stopped, and what CPU time they have used."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class VitalSigns:
    """Of all processes together. ``is_runnable``: one of them runs, or waits for a core or a disk, at this moment."""

    cpu_s: float
    is_runnable: bool
    is_stopped: bool
    is_on_gpu: bool = False


def pids_of(engine_core_pid: int) -> list[int]:
    """The engine's processes. Reads the whole process table, so do not ask all the time."""
    try:
        children = psutil.Process(engine_core_pid).children(recursive=True)
    except psutil.Error:
        children = []
    return [engine_core_pid, *(child.pid for child in children)]


def read(pids: Sequence[int], *, is_on_gpu: bool = False) -> VitalSigns:
    """Their main threads' states, and the CPU time of all their threads. Processes that have ended count nothing: their
    end is seen elsewhere."""
    states, ticks = "", 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        # The name in parentheses may hold anything, so fields are counted from its end.
        fields = text.rpartition(")")[2].split()
        states += fields[0]
        ticks += int(fields[11]) + int(fields[12])
    return VitalSigns(
        cpu_s=ticks * _TICK_S,
        is_runnable=not set("RD").isdisjoint(states),
        is_stopped=not set("Tt").isdisjoint(states),
        is_on_gpu=is_on_gpu,
    )
