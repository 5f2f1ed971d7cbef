"""What a server's processes hold: memory, descriptors, threads, shared memory."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

SHARED_MEMORY = "/dev/shm/"


@dataclass(frozen=True)
class Holding:
    """One process at one moment. ``heap_bytes`` is the resident memory that is no file's: unlike its USS it does not
    change when another process maps the same libraries."""

    rss_bytes: int
    heap_bytes: int
    descriptors: int
    threads: int


def of_trident(state: dict[str, Any]) -> dict[str, psutil.Process]:
    """By the names of ``state.json``; a stub's has its model's."""
    found = {"supervisor": psutil.Process(state["process"]["pid"])}
    for child in state["children"]:
        if child["process"] is not None:
            found[child["name"]] = psutil.Process(child["process"]["pid"])
        for name, process in child["parts"].items():
            part = psutil.Process(process["pid"])
            if name.startswith("stub"):
                # …/triton_python_backend_stub …/repository/MODEL/1/model.py …
                name = f"{name} ({part.cmdline()[1].split('/')[-3]})"
            found[name] = part
    return found


def of_tree(pid: int) -> dict[str, psutil.Process]:
    """A process and all below it, by name and number."""
    root = psutil.Process(pid)
    family = [root, *root.children(recursive=True)]
    return {f"{process.name()} {number}": process for number, process in enumerate(family)}


def holding(process: psutil.Process) -> Holding:
    """Raises psutil.Error when the process has ended."""
    rss_bytes = process.memory_info().rss
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError as error:
        raise psutil.NoSuchProcess(process.pid) from error
    heap_kib = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:")), 0)
    return Holding(rss_bytes, 1024 * heap_kib, process.num_fds(), process.num_threads())


def shared_memory_bytes(processes: dict[str, psutil.Process]) -> int:
    """Of all files in /dev/shm that one of them has mapped."""
    files: set[str] = set()
    for process in processes.values():
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{process.pid}/maps").read_text(errors="replace").splitlines()
            files |= {line[line.index(SHARED_MEMORY) :] for line in lines if SHARED_MEMORY in line}
    sizes = 0
    for file in files:
        with contextlib.suppress(OSError):
            sizes += 512 * Path(file).stat().st_blocks
    return sizes
