"""CPUs that each engine core has for itself. One Python thread of a core decides when the next step of the GPU begins,
and what runs beside it on its CPU slows it (measured on an H100, docs/performance.md)."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trident.config.models import Config
from trident.errors import ConfigurationError

CPUS_BY_DEFAULT = 2
"""One thread works on the steps, two others speak with the front ends."""
CPUS_FOR_DEFAULT = 8
"""For each core; with fewer the rest would lack what the core gets."""
LEFT_CPUS = 2
PCI_DEVICES = Path("/sys/bus/pci/devices")
NVIDIA, DISPLAY = "0x10de", "0x03"


@dataclass(frozen=True)
class Shares:
    """``of_cores`` are the CPUs of each engine core, ``rest`` everybody else's; both empty: all share all. No other
    server on the machine gets a core's as long as its ``claims`` are open."""

    of_cores: tuple[tuple[int, ...], ...] = ()
    rest: tuple[int, ...] = ()
    claims: tuple[socket.socket, ...] = field(default=(), compare=False, repr=False)

    def release(self) -> None:
        """Others may have them."""
        for claim in self.claims:
            claim.close()


def take(config: Config, build: str) -> Shares:
    """Decides for the engine of MODEL on this machine. Raises ConfigurationError when there are too few."""
    usable = os.sched_getaffinity(0)
    cores, each = engine_cores(config), wanted(config, build, len(usable), machine_gpus())
    if not each:
        return Shares()
    claims, foreign = _claimed(_by_physical_core(usable), cores * each)
    free = usable - foreign
    if len(claims) < cores * each or len(free) < cores * each + LEFT_CPUS:
        Shares(claims=tuple(claims.values())).release()
        if config.runtime.core_cpus is None:
            return Shares()
        raise _too_few(cores, each, f"{len(free)} are free; other servers have the others")
    of_cores, rest = divide([*claims, *sorted(free - set(claims))], cores, each)
    return Shares(of_cores, rest, tuple(claims.values()))


def wanted(config: Config, build: str, cpus: int, gpus: int) -> int:
    """How many each core gets on a machine with so many GPUs, of ``cpus`` that this process may use. Raises
    ConfigurationError when the setting asks for too many."""
    each, cores = config.runtime.core_cpus, engine_cores(config)
    if each is not None:
        if each and cpus < cores * each + LEFT_CPUS:
            raise _too_few(cores, each, f"this process may use {cpus}")
        return each
    # Where GPUs are left over, another container may serve with them, and would choose the same CPUs.
    is_alone = gpus <= cores and config.model is not None and not config.triton.model_repository
    has_one_process = _size(config, "tensor_parallel_size") * _size(config, "pipeline_parallel_size") == 1
    is_wanted = build == "cuda" and is_alone and has_one_process and cpus >= CPUS_FOR_DEFAULT * cores
    return CPUS_BY_DEFAULT if is_wanted else 0


def divide(cpus: Sequence[int], cores: int, each: int) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """Of each core and of the rest, in the given order."""
    of_cores = tuple(tuple(cpus[core * each : (core + 1) * each]) for core in range(cores))
    return of_cores, tuple(cpus[cores * each :])


def engine_cores(config: Config) -> int:
    """Replicas of the engine."""
    return _size(config, "data_parallel_size")


def machine_gpus() -> int:
    """NVIDIA's among the PCI devices, which a container sees all; 0 where they cannot be seen."""
    return sum(
        _text(device / "vendor") == NVIDIA and _text(device / "class").startswith(DISPLAY)
        for device in PCI_DEVICES.glob("*")
    )


def _size(config: Config, name: str) -> int:
    value = config.engine.get(name)
    return value if isinstance(value, int) and value > 0 else 1


def _too_few(cores: int, each: int, why: str) -> ConfigurationError:
    needed = f"{cores} × {each}" if cores > 1 else f"{each}"
    return ConfigurationError(
        "The engine cannot have its own CPUs",
        f"{needed} for it and {LEFT_CPUS} for everything else are needed, and {why}",
        "set a smaller number: --core-cpus N; 0 lets all share all",
    )


def _by_physical_core(cpus: Collection[int]) -> list[int]:
    """Hardware threads of one physical core stand beside each other: nobody else should run on half of it."""

    def first_thread(cpu: int) -> int:
        found = re.match(r"\d+", _text(Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")))
        return int(found[0]) if found else cpu

    return sorted(cpus, key=lambda cpu: (first_thread(cpu), cpu))


def _claimed(cpus: Sequence[int], number: int) -> tuple[dict[int, socket.socket], set[int]]:
    """The first that no other server has, at most so many, and those before them that another has."""
    claims: dict[int, socket.socket] = {}
    foreign: set[int] = set()
    for cpu in cpus:
        if len(claims) == number:
            break
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0trident-cpu-{cpu}")
        except OSError:
            claim.close()
            foreign.add(cpu)
        else:
            claims[cpu] = claim
    return claims, foreign


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
