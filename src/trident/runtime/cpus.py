"""CPUs that this process may use, by physical core, and how much of them a container's quota lets it use."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
TOPOLOGY = Path("/sys/devices/system/cpu")


def usable() -> set[int]:
    """Numbers of CPUs; hardware threads count each."""
    return os.sched_getaffinity(0)


def physical_cores(cpus: Collection[int]) -> list[list[int]]:
    """The hardware threads among ``cpus``, those of one physical core together; what the system does not say is a core
    of its own."""
    cores: dict[int, list[int]] = {}
    for cpu in sorted(cpus):
        found = re.match(r"\d+", text(TOPOLOGY / f"cpu{cpu}" / "topology" / "thread_siblings_list"))
        cores.setdefault(int(found[0]) if found else cpu, []).append(cpu)
    return [cores[first] for first in sorted(cores)]


def quota() -> float | None:
    """CPUs' worth of time that the control groups of this process allow (``docker run --cpus``, a pod's limit,
    ``CPUQuota=``); None where they set no bound."""
    bounds = [bound for group in _own_groups() if (bound := _bound(group)) is not None]
    return min(bounds, default=None)


def _own_groups() -> list[Path]:
    """Version 2's, up to the root; version 1's as a container sees it."""
    groups = [CGROUPS / "cpu"]
    own = re.search(r"^0::/(.*)$", text(OWN_CGROUPS), re.MULTILINE)
    path = CGROUPS / own[1] if own else CGROUPS
    while path.is_relative_to(CGROUPS):
        groups.append(path)
        path = path.parent
    return groups


def _bound(group: Path) -> float | None:
    both = text(group / "cpu.max").split()
    both = both or [text(group / "cpu.cfs_quota_us"), text(group / "cpu.cfs_period_us")]
    try:
        quota_us, period_us = map(int, both)
    except ValueError:  # "max", or no such file
        return None
    return quota_us / period_us if quota_us > 0 and period_us > 0 else None


def text(path: Path) -> str:
    """What the system says in a file; empty where there is none."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
