"""CPUs that each engine core has for itself, and its threads where it computes on them.

On a GPU one Python thread of a core decides when the next step begins, and what runs beside it on its CPU slows it; on
a CPU every thread of a step waits for the one that was interrupted (both measured, docs/performance.md).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trident.config.models import Config
from trident.errors import ConfigurationError
from trident.runtime import cpus as machine

CPUS_BY_DEFAULT = 2
"""One thread works on the steps, two others speak with the front ends."""
CPUS_FOR_DEFAULT = 8
"""For each core; with fewer the rest would lack what the core gets."""
LEFT_CPUS = {"cuda": 2, "cpu": 1}
"""For everything else, by the engine's build: a GPU's engine comes with machines that have many."""
THREADS_SETTING = "OMP_NUM_THREADS"
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
    usable = machine.usable()
    cores, each = engine_cores(config), wanted(config, build, len(usable), machine_gpus())
    if not each:
        return Shares()
    # Nobody else should run on the other hardware thread of a physical core.
    claims, foreign = _claimed([cpu for core in machine.physical_cores(usable) for cpu in core], cores * each)
    free = usable - foreign
    if len(claims) < cores * each or len(free) < cores * each + LEFT_CPUS[build]:
        Shares(claims=tuple(claims.values())).release()
        if config.runtime.core_cpus is None:
            return Shares()
        raise _too_few(cores, each, build, f"{len(free)} are free; other servers have the others")
    of_cores, rest = divide([*claims, *sorted(free - set(claims))], cores, each)
    return Shares(of_cores, rest, tuple(claims.values()))


def wanted(config: Config, build: str, cpus: int, gpus: int) -> int:
    """How many each core gets on a machine with so many GPUs, of ``cpus`` that this process may use. Raises
    ConfigurationError when the setting asks for too many."""
    each, cores = config.runtime.core_cpus, engine_cores(config)
    if each is not None:
        if each and cpus < cores * each + LEFT_CPUS[build]:
            raise _too_few(cores, each, build, f"this process may use {cpus}")
        return each
    if config.model is None or config.triton.model_repository or _processes(config) > 1:
        return 0
    if build == "cpu":
        return _wanted_to_compute(config)
    # Where GPUs are left over, another container may serve with them, and would choose the same CPUs.
    return CPUS_BY_DEFAULT if gpus <= cores and cpus >= CPUS_FOR_DEFAULT * cores else 0


def _wanted_to_compute(config: Config) -> int:
    cores = machine.physical_cores(machine.usable())
    quota = machine.quota()
    # With a part of the machine's time one need not keep to a part of its CPUs: other containers choose the same.
    is_shared = quota is not None and quota < sum(map(len, cores))
    if is_shared or THREADS_SETTING in os.environ or len(cores) <= engine_cores(config):
        return 0
    return threads(config) * len(cores[0])


def threads(config: Config, shares: Shares = Shares()) -> int:
    """With how many each engine core computes on a CPU: one for each physical core of its own CPUs, else its part of
    all but one, which is left for the doors. 0: as the environment says.

    Without it every core spins in OpenMP while the doors wait (measured on 2 cores at 64 streams: 3,100 tokens/s with
    every core, 4,200 with one left).
    """
    if THREADS_SETTING in os.environ:
        return 0
    if shares.of_cores:
        return len(machine.physical_cores(shares.of_cores[0]))
    usable = min(len(machine.physical_cores(machine.usable())), int(machine.quota() or len(machine.usable())))
    return max(1, (usable - 1) // engine_cores(config))


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
        machine.text(device / "vendor") == NVIDIA and machine.text(device / "class").startswith(DISPLAY)
        for device in PCI_DEVICES.glob("*")
    )


def _size(config: Config, name: str) -> int:
    value = config.engine.get(name)
    return value if isinstance(value, int) and value > 0 else 1


def _processes(config: Config) -> int:
    """That compute for each engine core."""
    return _size(config, "tensor_parallel_size") * _size(config, "pipeline_parallel_size")


def _too_few(cores: int, each: int, build: str, why: str) -> ConfigurationError:
    needed = f"{cores} × {each}" if cores > 1 else f"{each}"
    return ConfigurationError(
        "The engine cannot have its own CPUs",
        f"{needed} for it and {LEFT_CPUS[build]} for everything else are needed, and {why}",
        "set a smaller number: --core-cpus N; 0 lets all share all",
    )


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
