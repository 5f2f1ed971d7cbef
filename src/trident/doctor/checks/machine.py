"""Cores, memory, disk and shared memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from trident.config import paths
from trident.doctor.finding import Finding, Repair, fail, ok, warn
from trident.doctor.patient import Patient
from trident.runtime.engine_env import STAMP_NAME, engines_dir, env_path
from trident.runtime.pins import DISK_NEEDED_BYTES, GIB_BYTES
from trident.supervisor import shared_memory
from trident.triton.command import SHM_REGION_BYTES, shm_prefix

CPUINFO = Path("/proc/cpuinfo")
SLOW_CORES = 2
SMALL_MEMORY_BYTES = 4 * GIB_BYTES
LOG_ROOM_BYTES = GIB_BYTES
SHM_FOLDER = Path("/dev/shm")


def cpu(patient: Patient) -> Iterator[Finding]:
    """What vLLM's CPU build is compiled for, and how many cores there are."""
    flags = cpu_flags(CPUINFO)
    cores = patient.hardware.cpu_cores
    if patient.build == "cpu" and "avx2" not in flags:
        yield fail(
            "machine.cpu",
            "This CPU has no AVX2",
            "vLLM's CPU build is compiled for AVX2 or AVX-512 and would die of an illegal instruction",
            "use another machine, or one with an NVIDIA GPU",
        )
        return
    best = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2"
    bf16 = " with bfloat16" if "avx512_bf16" in flags or "amx_bf16" in flags else ""
    if cores < SLOW_CORES:
        yield warn(
            "machine.cpu",
            f"Only {cores} core may be used",
            "tritonserver, the engine and the front doors then wait for one another",
            "give this process more cores (taskset, the container's --cpus)",
        )
        return
    yield ok("machine.cpu", f"{cores} cores, {best}{bf16}")


def cpu_flags(cpuinfo: Path) -> set[str]:
    """Features of the first core; empty where the kernel does not tell."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return set()
    return set(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), []))


def memory(patient: Patient) -> Iterator[Finding]:
    """The machine's memory, or the container's limit; what the model needs of it is the model's check."""
    total_bytes = patient.hardware.memory_bytes
    if total_bytes < SMALL_MEMORY_BYTES:
        yield warn(
            "machine.memory",
            f"{total_bytes / GIB_BYTES:.1f} GiB of memory",
            f"the processes of a server alone need about 2 GiB, a model comes on top; "
            f"{SMALL_MEMORY_BYTES // GIB_BYTES} GiB is little",
            "raise the container's memory limit, or use a larger machine",
        )
        return
    yield ok("machine.memory", f"{total_bytes / GIB_BYTES:.1f} GiB")


def disk(patient: Patient) -> Iterator[Finding]:
    """Room for the engine where it is not installed yet, else for logs."""
    rooms = [("logs and state", paths.state_dir(), LOG_ROOM_BYTES, "TRIDENT_STATE_DIR")]
    if patient.engine is None:
        needed_bytes = DISK_NEEDED_BYTES[patient.build]
        rooms.append((f"vLLM for {patient.build}", patient.data_dir, needed_bytes, "TRIDENT_DATA_DIR"))
    for what, wanted_folder, needed_bytes, variable in rooms:
        folder = next(place for place in (wanted_folder, *wanted_folder.parents) if place.is_dir())
        free_bytes = shutil.disk_usage(folder).free
        if free_bytes < needed_bytes:
            yield fail(
                "machine.disk",
                f"{free_bytes / GIB_BYTES:.1f} GiB are free at {folder}",
                f"{needed_bytes // GIB_BYTES} GiB are wanted for {what}",
                f"free some space there (df -h {folder}), or set {variable} to a folder on a larger disk",
            )
            return
    wanted = env_path(patient.build, "", patient.data_dir).name  # the environment's own check speaks of that one
    unfinished = [
        place
        for place in engines_dir(patient.data_dir).glob("vllm-*")
        if not (place / STAMP_NAME).exists() and not place.name.startswith(wanted)
    ]
    if unfinished:
        yield warn(
            "machine.disk",
            f"An engine environment was left half-made: {unfinished[0].name}",
            "an installation was killed; it takes room and is never used",
            "trident setup",
            Repair(f"delete {unfinished[0]}", lambda: _delete_unfinished(patient.data_dir)),
        )
        return
    yield ok("machine.disk", f"{free_bytes / GIB_BYTES:.1f} GiB free at {folder}")


def _delete_unfinished(data_dir: Path) -> None:
    from trident.runtime.engine_install import one_at_a_time, remove_unfinished

    with one_at_a_time(engines_dir(data_dir) / ".lock", lambda _: None):
        remove_unfinished(data_dir)


def shm(patient: Patient) -> Iterator[Finding]:
    """Each stub of Triton has a region of its own in /dev/shm; what killed servers left there is in the way."""
    if not SHM_FOLDER.is_dir():
        yield fail(
            "machine.shm", "There is no /dev/shm", "Triton's stubs get their requests through it", "mount a tmpfs"
        )
        return
    config = patient.config
    prefix = shm_prefix(config) if config else "trident_"
    left = [] if patient.serves or config is None else [f for f in SHM_FOLDER.iterdir() if f.name.startswith(prefix)]
    if left:
        yield warn(
            "machine.shm",
            f"{len(left)} files of a killed server lie in /dev/shm",
            f"they hold {sum(file.stat().st_size for file in left) / 2**20:.0f} MiB of memory",
            f"rm /dev/shm/{prefix}*",
            Repair(f"delete /dev/shm/{prefix}*", lambda: shared_memory.remove(prefix)),
        )
        return
    stubs = config.stubs.count * len(config.own_models) if config else 1
    needed_bytes = 0 if patient.serves else stubs * SHM_REGION_BYTES
    free_bytes = shutil.disk_usage(SHM_FOLDER).free
    if free_bytes < needed_bytes:
        yield fail(
            "machine.shm",
            f"/dev/shm has {free_bytes / 2**20:.0f} MiB free",
            f"{stubs} stubs of Triton need {needed_bytes / 2**20:.0f} MiB",
            "give the container more (docker run --shm-size=1g), or fewer --stubs",
        )
        return
    yield ok("machine.shm", f"{free_bytes / 2**20:.0f} MiB free in /dev/shm")
