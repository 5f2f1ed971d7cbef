"""Limits of this user that a server meets only under load."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

from trident.doctor.finding import Finding, fail, ok, warn
from trident.doctor.patient import Patient

DESCRIPTORS_NEEDED = 256
"""tritonserver has 116 open on two cores before its first client (measured), and more threads with more cores."""
DESCRIPTORS_FEW = 4096
"""A connection of a client takes one here, one in the gateway and one in tritonserver."""
PROCESSES_FEW = 2048
"""vLLM, torch and tritonserver start some hundred threads, which count as processes here."""
OVERCOMMIT = Path("/proc/sys/vm/overcommit_memory")


def descriptors(_: Patient) -> Iterator[Finding]:
    """Open files and sockets."""
    # trident serve takes what it may: the soft limit, often 1024, says nothing about a server.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    what = f"A process may have at most {hard} files open"
    fix = "as root: ulimit -n 65536; nofile in /etc/security/limits.conf, the container's --ulimit nofile=65536"
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS_NEEDED:
        yield fail(
            "limits.descriptors", what, f"a server needs about {DESCRIPTORS_NEEDED} before its first client", fix
        )
    elif hard != resource.RLIM_INFINITY and hard < DESCRIPTORS_FEW:
        why = f"with many clients accepting fails with EMFILE; {DESCRIPTORS_FEW} and more is usual for a server"
        yield warn("limits.descriptors", what, why, fix)
    else:
        yield ok("limits.descriptors", f"{_words(hard)} open files")


def processes(_: Patient) -> Iterator[Finding]:
    """Threads count too."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft != resource.RLIM_INFINITY and soft < PROCESSES_FEW:
        yield warn(
            "limits.processes",
            f"This user may have {soft} processes and threads",
            'vLLM ends with "can\'t start new thread" when they are used up',
            "raise it in /etc/security/limits.conf (nproc), or the container's --pids-limit",
        )
        return
    yield ok("limits.processes", f"{_words(soft)} processes")


def locked_memory(patient: Patient) -> Iterator[Finding]:
    """Several GPUs that talk over InfiniBand or RoCE register memory, which counts as locked."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    has_rdma = Path("/sys/class/infiniband").is_dir() and any(Path("/sys/class/infiniband").iterdir())
    if has_rdma and len(patient.visible_gpus) > 1 and soft != resource.RLIM_INFINITY:
        yield warn(
            "limits.locked_memory",
            f"This user may lock {soft // 1024} KiB of memory",
            "NCCL registers memory with the network cards that are here, and fails where it may not",
            "ulimit -l unlimited before trident serve, or LimitMEMLOCK=infinity (trident service sets it)",
        )
        return
    yield ok("limits.locked_memory", f"{_words(soft if soft < 0 else soft // 1024)} KiB of locked memory")


def overcommit(_: Patient) -> Iterator[Finding]:
    """vLLM forks processes that hold gigabytes; a kernel that promises no more than it has refuses that."""
    try:
        mode = OVERCOMMIT.read_text().strip()
    except OSError:
        return
    if mode == "2":
        yield warn(
            "limits.overcommit",
            "The kernel promises no more memory than it has (vm.overcommit_memory = 2)",
            "forked engine processes and deep stacks of tritonserver need promises; a start may fail with ENOMEM",
            "sudo sysctl vm.overcommit_memory=0",
        )
        return
    yield ok("limits.overcommit", f"vm.overcommit_memory is {mode}")


def _words(limit: int) -> str:
    return "unlimited" if limit == resource.RLIM_INFINITY else str(limit)
