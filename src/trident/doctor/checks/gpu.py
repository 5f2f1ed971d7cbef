"""GPUs: are they there, new enough, driven well, free, and as fast as they should be?"""

from __future__ import annotations

from collections.abc import Iterator

from trident.doctor.finding import Finding, fail, ok, warn
from trident.doctor.nvml import GpuReading, Holder
from trident.doctor.patient import Patient
from trident.runtime.pins import CUDA_VERSION_NEEDED, GIB_BYTES, VLLM_VERSION

OLDEST_CAPABILITY = (7, 5)
"""Turing; torch 2.13's CUDA 13 builds hold no code for older GPUs."""
DEFAULT_SHARE = 0.92
"""vLLM's default for gpu_memory_utilization."""
SPARE_BYTES = GIB_BYTES // 2


def presence(patient: Patient) -> Iterator[Finding]:
    """A GPU, where the CUDA build is to be used."""
    reading = patient.gpus
    if patient.build == "cpu":
        if reading.gpus:
            yield warn(
                "gpu.presence",
                f"{len(reading.gpus)} GPU here, and the CPU build is used",
                "engine_build is cpu, or CUDA_VISIBLE_DEVICES hides them",
                "--engine-build cuda; unset CUDA_VISIBLE_DEVICES",
            )
        else:
            yield ok("gpu.presence", f"none, vLLM's CPU build is used ({reading.problem or 'no GPU'})")
        return
    if not patient.visible_gpus:
        yield fail(
            "gpu.presence",
            "The CUDA build cannot see a GPU",
            reading.problem or "CUDA_VISIBLE_DEVICES names none that is here",
            "install NVIDIA's driver (check: nvidia-smi), unset CUDA_VISIBLE_DEVICES, or --engine-build cpu",
        )
        return
    yield ok("gpu.presence", ", ".join(f"{gpu.index}: {gpu.name}" for gpu in patient.visible_gpus))


def driver(patient: Patient) -> Iterator[Finding]:
    """The newest CUDA that the driver runs against the CUDA that the build is made for."""
    reading = patient.gpus
    if not reading.driver_version:
        return
    have, need = (".".join(map(str, version)) for version in (reading.cuda_version, CUDA_VERSION_NEEDED))
    if reading.cuda_version < CUDA_VERSION_NEEDED:
        yield fail(
            "gpu.driver",
            f"NVIDIA's driver {reading.driver_version} is too old",
            f"it runs CUDA up to {have}; vLLM {VLLM_VERSION} is built for CUDA {need}",
            "update the driver to 580 or newer, or --engine-build cpu",
        )
        return
    yield ok("gpu.driver", f"{reading.driver_version}, runs CUDA up to {have}")


def capability(patient: Patient) -> Iterator[Finding]:
    """Compute capability."""
    if patient.build != "cuda":
        return
    old = [gpu for gpu in patient.visible_gpus if gpu.capability < OLDEST_CAPABILITY]
    for gpu in old:
        yield fail(
            "gpu.capability",
            f"GPU {gpu.index} ({gpu.name}) has compute capability {_dotted(gpu.capability)}",
            f"the CUDA build needs {_dotted(OLDEST_CAPABILITY)} or newer: no kernel image is available for it",
            _others(patient, old),
        )
    if patient.visible_gpus and not old:
        found = sorted({_dotted(gpu.capability) for gpu in patient.visible_gpus})
        yield ok("gpu.capability", f"compute capability {', '.join(found)}")


def _others(patient: Patient, old: list[GpuReading]) -> str:
    good = [str(gpu.index) for gpu in patient.visible_gpus if gpu not in old]
    return f"CUDA_VISIBLE_DEVICES={','.join(good)} trident serve …" if good else "--engine-build cpu"


def count(patient: Patient) -> Iterator[Finding]:
    """Enough GPUs for the parallel sizes that are configured."""
    if patient.build != "cuda" or not patient.visible_gpus:
        return
    sizes = {name: int(patient.engine_argument(name, 1)) for name in ("tensor_parallel_size", "pipeline_parallel_size")}
    wanted = sizes["tensor_parallel_size"] * sizes["pipeline_parallel_size"]
    wanted *= int(patient.engine_argument("data_parallel_size", 1))
    if wanted > len(patient.visible_gpus):
        yield fail(
            "gpu.count",
            f"{wanted} GPUs are asked for, {len(patient.visible_gpus)} are visible",
            "tensor_parallel_size × pipeline_parallel_size × data_parallel_size is more than there are",
            f"--tensor-parallel-size {len(patient.visible_gpus)}",
        )


def memory(patient: Patient) -> Iterator[Finding]:
    """vLLM takes a share of all memory (gpu_memory_utilization) and refuses to start where less is free."""
    if patient.build != "cuda":
        return
    share = patient.engine_argument("gpu_memory_utilization", DEFAULT_SHARE)
    for gpu in patient.visible_gpus:
        free, total = gpu.free_bytes / GIB_BYTES, gpu.total_bytes / GIB_BYTES
        who = ", ".join(map(_holder, gpu.holders)) or "nobody that the driver names (other containers are not seen)"
        if patient.serves:
            yield ok("gpu.memory", f"GPU {gpu.index}: {free:.1f} of {total:.1f} GiB free beside the running server")
        elif gpu.free_bytes < share * gpu.total_bytes:
            fitting = max(0.0, (gpu.free_bytes - SPARE_BYTES) / gpu.total_bytes)
            yield fail(
                "gpu.memory",
                f"GPU {gpu.index} has {free:.1f} of {total:.1f} GiB free",
                f"vLLM takes {share:.0%} of it ({share * total:.1f} GiB, gpu_memory_utilization); held by {who}",
                f"end what holds it (kill PID), or --gpu-memory-utilization {int(fitting * 100) / 100:.2f}",
            )
        else:
            yield ok("gpu.memory", f"GPU {gpu.index}: {free:.1f} of {total:.1f} GiB free")


def _holder(holder: Holder) -> str:
    import psutil

    try:
        name = psutil.Process(holder.pid).name()
    except psutil.Error:
        name = "not visible here"
    used = f", {holder.used_bytes / GIB_BYTES:.1f} GiB" if holder.used_bytes is not None else ""
    return f"process {holder.pid} ({name}{used})"


def health(patient: Patient) -> Iterator[Finding]:
    """Clocks that are held down, and memory errors."""
    for gpu in patient.visible_gpus:
        if gpu.uncorrected_errors:
            yield fail(
                "gpu.health",
                f"GPU {gpu.index} has {gpu.uncorrected_errors} memory errors that could not be corrected",
                "results may be wrong, and CUDA ends processes that meet one",
                f"sudo nvidia-smi --gpu-reset -i {gpu.index}, or restart the machine; if they return, replace the GPU",
            )
        elif gpu.slowdowns:
            yield warn(
                "gpu.health",
                f"GPU {gpu.index} is held back: {', '.join(gpu.slowdowns)}",
                f"{_clock(gpu)}, {gpu.temperature_c if gpu.temperature_c is not None else '?'} °C",
                f"look at cooling and power: nvidia-smi -q -d PERFORMANCE,TEMPERATURE,POWER -i {gpu.index}",
            )
        else:
            yield ok("gpu.health", f"GPU {gpu.index}: {_clock(gpu)}, no slowdown, no memory errors")


def _clock(gpu: GpuReading) -> str:
    return f"{gpu.clock_mhz or '?'} of {gpu.max_clock_mhz or '?'} MHz"


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
