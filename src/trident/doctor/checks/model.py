"""The model: complete, readable, understood by this vLLM, and small enough."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trident.doctor.checks.gpu import DEFAULT_SHARE
from trident.doctor.checks.machine import CPUINFO, cpu_flags
from trident.doctor.finding import Finding, Repair, fail, ok, warn
from trident.doctor.model_memory import CPU_PROCESSES_BYTES, GPU_WORKING_BYTES, Need, need
from trident.doctor.patient import Patient
from trident.errors import ModelNotFound, TridentError
from trident.models.resolve import ResolvedModel
from trident.runtime.pins import GIB_BYTES
from trident.supervisor.room import free_bytes

REGISTRY = "lib/python3.*/site-packages/vllm/model_executor/models/registry.py"
OLDEST_FOR = {"awq": (7, 5), "awq_marlin": (7, 5), "gptq": (6, 0), "compressed-tensors": (7, 0), "fp8": (7, 5)}
"""Compute capability that vLLM 0.32 asks for (``get_min_capability`` in model_executor/layers/quantization)."""
NATIVE_FP8 = (8, 9)
OTHER_WEIGHTS = "take the model's W8A8 weights, or four-bit AWQ or GPTQ ones where the CPU has AVX-512"


def files(patient: Patient) -> Iterator[Finding]:
    """There, whole and readable."""
    model = patient.model
    if model is None:
        return
    if isinstance(model, ResolvedModel):
        yield ok("model.files", f"{model.name}, complete in {model.path}")
        return
    if isinstance(model, ModelNotFound) and _is_id(patient):
        if "incomplete" not in model.why and not patient.config_offline:
            name = patient.config.model if patient.config else ""
            yield warn("model.files", f"{name} is not on this machine", model.why, f"trident pull {name}")
            return
        yield fail(
            "model.files", model.what, model.why, f"trident pull {patient.config.model if patient.config else ''}"
        )
        return
    yield fail("model.files", model.what, model.why, model.next_step, _readable(patient, model))


def _is_id(patient: Patient) -> bool:
    name = (patient.config.model if patient.config else None) or ""
    return re.fullmatch(r"[\w.-]+/[\w.-]+", name) is not None


def _readable(patient: Patient, error: TridentError) -> Repair | None:
    """Files of our own that we may not read, we may make readable."""
    folder = Path((patient.config.model if patient.config else None) or "").expanduser()
    if "cannot be read" not in error.why or not folder.is_dir():
        return None
    closed = [file for file in folder.rglob("*") if not os.access(file, os.R_OK) and file.stat().st_uid == os.getuid()]
    return Repair(f"chmod u+r {len(closed)} files in {folder}", lambda: _open(closed)) if closed else None


def _open(closed: list[Path]) -> None:
    for file in closed:
        file.chmod(file.stat().st_mode | (0o500 if file.is_dir() else 0o400))


def configuration(patient: Patient) -> Iterator[Finding]:
    """Architecture, the model's own code, quantisation."""
    model = patient.model
    if not isinstance(model, ResolvedModel) or not (model.path / "config.json").is_file():
        return
    config: dict[str, Any] = json.loads((model.path / "config.json").read_bytes())
    engine = patient.config.engine if patient.config else {}
    if config.get("auto_map") and not engine.get("trust_remote_code") and not _knows(patient, config):
        yield fail(
            "model.configuration",
            "The model brings code of its own",
            "config.json has an auto_map, vLLM does not know the architecture, and trust_remote_code is not set",
            "read that code; if you trust it: --trust-remote-code",
        )
        return
    architectures = ", ".join(map(str, config.get("architectures") or ()))
    if _knows(patient, config) is False:
        yield warn(
            "model.configuration",
            f"vLLM has no implementation of {architectures} of its own",
            "it may serve it through Transformers, slower, or refuse it",
            "try it; else choose a model of its list of supported models",
        )
    else:
        yield ok("model.configuration", architectures)


def _knows(patient: Patient, config: dict[str, Any]) -> bool | None:
    """Whether vLLM's registry names one of the architectures; None where that cannot be known."""
    registries = list(patient.engine.path.glob(REGISTRY)) if patient.engine else []
    if not registries:
        return None
    text = registries[0].read_text(encoding="utf-8")
    return any(f'"{name}"' in text for name in config.get("architectures") or ())


def quantization(patient: Patient) -> Iterator[Finding]:
    """Whether this build, on this GPU, has kernels for the weights' format."""
    model = patient.model
    if not isinstance(model, ResolvedModel) or not (model.path / "config.json").is_file():
        return
    config: dict[str, Any] = json.loads((model.path / "config.json").read_bytes())
    quantised = config.get("quantization_config") or config.get("compression_config")
    online = str((patient.config.engine if patient.config else {}).get("quantization") or "")
    if patient.build == "cpu" and (refused := _no_cpu_kernel(quantised, online, cpu_flags(CPUINFO))):
        yield fail("model.quantization", *refused)
        return
    if not isinstance(quantised, dict):
        return
    method = str(quantised.get("quant_method", "unknown")).lower()
    if patient.build == "cpu" and str(quantised.get("format", "")).startswith("float"):
        yield warn(
            "model.quantization",
            "FP8 weights with a scale for each output are very slow on a CPU",
            "vLLM multiplies them by a reference kernel there: a second and more for each token of a tiny model",
            OTHER_WEIGHTS,
        )
        return
    gpus = patient.visible_gpus if patient.build == "cuda" else ()
    oldest = OLDEST_FOR.get(method, (0, 0))
    for gpu in gpus:
        if gpu.capability < oldest:
            yield fail(
                "model.quantization",
                f"GPU {gpu.index} is too old for {method} weights",
                f"compute capability {gpu.capability[0]}.{gpu.capability[1]}; {method} needs {oldest[0]}.{oldest[1]}",
                "take the model's unquantised weights, or another quantisation",
            )
            return
    if method == "fp8" and gpus and min(gpu.capability for gpu in gpus) < NATIVE_FP8:
        yield warn(
            "model.quantization",
            "FP8 weights on a GPU without FP8 arithmetic",
            "they save memory here, not time: vLLM computes them in 16 bits (Marlin)",
            "nothing to do; AWQ or GPTQ may be faster",
        )
        return
    yield ok("model.quantization", f"{method} weights")


def _no_cpu_kernel(quantised: object, online: str, flags: set[str]) -> tuple[str, str, str] | None:
    """What vLLM 0.32's CPU build cannot load on a CPU with these features, why, and what to take instead (all of it
    tried, see docs/models.md)."""
    scales = "it would bring several scales together, and the CPU build has no code for that (static_scaled_fp8_quant)"
    if not isinstance(quantised, dict):
        if online not in ("fp8", "fp8_per_tensor"):
            return None
        return (
            f"quantization = {online!r} does not work on a CPU",
            scales,
            "--quantization int8_per_channel_weight_only",
        )
    method, bits = str(quantised.get("quant_method", "")).lower(), quantised.get("bits")
    if method == "fp8" and not quantised.get("weight_block_size"):
        return "FP8 weights with one scale for each tensor do not work on a CPU", scales, OTHER_WEIGHTS
    if method == "fp8" and "amx_tile" not in flags:
        why = "vLLM's CPU build has a kernel for CPUs with AMX only"
        return "FP8 weights with a scale for each block do not work on this CPU", why, OTHER_WEIGHTS
    if method in ("gptq", "awq") and bits not in (None, 4):
        why = "vLLM's CPU build has kernels for four bits only"
        return f"{method.upper()} weights of {bits} bits do not work on a CPU", why, OTHER_WEIGHTS
    if method in ("gptq", "awq") and "avx512f" not in flags:
        why = "vLLM's kernels for four bits (cpu_gemm_wna16) want AVX-512"
        return (
            f"{method.upper()} weights do not work on this CPU",
            why,
            "take the model's W8A8 weights, or unquantised ones",
        )
    return None


def memory(patient: Patient) -> Iterator[Finding]:
    """What it needs against what there is. While a server runs, it has what it needs."""
    model = patient.model
    if not isinstance(model, ResolvedModel) or patient.serves or not (model.path / "config.json").is_file():
        return
    wanted = need(model.path, patient.config.engine if patient.config else None)
    if patient.build == "cpu":
        yield _on_cpu(patient, wanted)
    else:
        yield _offloaded(patient) or _on_gpus(patient, wanted)


def _offloaded(patient: Patient) -> Finding | None:
    """What GPUs are to keep in the machine's memory, where it is too much; vLLM takes it all at the start."""
    parts = patient.engine_argument("tensor_parallel_size", 1) * patient.engine_argument("pipeline_parallel_size", 1)
    weights_gib = patient.engine_argument("cpu_offload_gb", 0) * parts
    kv_gib = patient.engine_argument("kv_offloading_size", 0)
    there_bytes = free_bytes()
    if (weights_gib + kv_gib) * GIB_BYTES <= there_bytes:
        return None
    return fail(
        "model.memory",
        f"{weights_gib + kv_gib:.1f} GiB are to be kept in the machine's memory, {_gib(there_bytes)} are free",
        f"weights {weights_gib:.1f} GiB (cpu_offload_gb, for each GPU), KV cache {kv_gib:.1f} GiB (kv_offloading_size)",
        "lower --kv-offloading-size or --cpu-offload-gb",
    )


def _on_cpu(patient: Patient, wanted: Need) -> Finding:
    given = patient.engine_argument("kv_cache_memory_bytes", 0)
    kv_bytes = int(given) or wanted.kv_bytes
    needed_bytes = wanted.weights_bytes + kv_bytes + CPU_PROCESSES_BYTES
    there_bytes = free_bytes()
    words = f"weights {_gib(wanted.weights_bytes)}, KV cache {_gib(kv_bytes)}, processes {_gib(CPU_PROCESSES_BYTES)}"
    if wanted.weights_bytes > there_bytes:
        return fail(
            "model.memory",
            f"The model needs {_gib(needed_bytes)} of memory, {_gib(there_bytes)} are free",
            words,
            "free memory, take a smaller or quantised model, or raise the container's limit",
        )
    if needed_bytes > there_bytes:
        return warn(
            "model.memory",
            f"The model needs about {_gib(needed_bytes)} of memory, {_gib(there_bytes)} are free",
            words,
            "lower --max-model-len or --kv-cache-memory-bytes, or free memory",
        )
    return ok("model.memory", f"needs about {_gib(needed_bytes)} ({words}), {_gib(there_bytes)} free")


def _on_gpus(patient: Patient, wanted: Need) -> Finding:
    if not patient.visible_gpus:
        return ok("model.memory", f"weights {_gib(wanted.weights_bytes)}; there is no GPU to compare with")
    share = patient.engine_argument("gpu_memory_utilization", DEFAULT_SHARE)
    parts = patient.engine_argument("tensor_parallel_size", 1) * patient.engine_argument("pipeline_parallel_size", 1)
    offloaded = patient.engine_argument("cpu_offload_gb", 0) * GIB_BYTES
    there = share * min(gpu.total_bytes for gpu in patient.visible_gpus)
    weights, kv = max(0.0, wanted.weights_bytes / parts - offloaded), wanted.kv_bytes / parts
    words = (
        f"on each GPU: weights {_gib(weights)}, longest sequence {_gib(kv)}, working memory {_gib(GPU_WORKING_BYTES)}"
    )
    if weights + GPU_WORKING_BYTES > there:
        return fail(
            "model.memory",
            f"The weights do not fit: {_gib(weights + GPU_WORKING_BYTES)} of {_gib(there)}",
            words,
            "take AWQ, GPTQ or FP8 weights of it, more GPUs (--tensor-parallel-size), or --cpu-offload-gb",
        )
    if weights + kv + GPU_WORKING_BYTES > there:
        fitting = int((there - weights - GPU_WORKING_BYTES) * parts / (wanted.kv_token_bytes or 1))
        return fail(
            "model.memory",
            f"The longest sequence does not fit: {_gib(weights + kv + GPU_WORKING_BYTES)} of {_gib(there)}",
            words,
            f"--max-model-len {max(256, fitting // 256 * 256)}, or raise --gpu-memory-utilization",
        )
    return ok("model.memory", f"{words}; {_gib(there)} may be used")


def _gib(size_bytes: float) -> str:
    return f"{size_bytes / GIB_BYTES:.1f} GiB"
