"""Every signature against the logs of real failures: see logs/README.md for how they came about."""

from __future__ import annotations

from pathlib import Path

import pytest

from trident.doctor import diagnosis
from trident.doctor.signatures import SIGNATURES

LOGS = Path(__file__).parent / "logs"
CAUSES = {
    "cuda-hidden": "cuda.driver_missing",
    "cuda-out_of_memory": "vllm.gpu_out_of_memory",
    "machine-address": "machine.address",
    "machine-disk_full": "machine.disk_full",
    "machine-memory": "machine.memory",
    "machine-permission": "machine.permission",
    "vllm-compiler_missing": "vllm.compiler",
    "vllm-kv_small": "vllm.kv_cache_small",
    "vllm-tokenizer_broken": "vllm.tokenizer",
    "triton-backend": "triton.backend_missing",
    "triton-batch": "triton.batch_size",
    "triton-cache": "triton.cache",
    "triton-descriptors": "machine.descriptors",
    "triton-flag": "triton.flag",
    "triton-import_error": "triton.model_import",
    "triton-initialize": "vllm.gpu_out_of_memory",
    "triton-libraries": "triton.libraries",
    "triton-name": "triton.model_name",
    "triton-no_class": "triton.model_class_missing",
    "triton-no_config": "triton.no_backend_named",
    "triton-no_model_py": "triton.model_py_missing",
    "triton-no_repository": "triton.repository_missing",
    "triton-pbtxt": "triton.config_text",
    "triton-pbtxt_syntax": "triton.config_text",
    "triton-platform": "triton.platform",
    "triton-port_grpc": "triton.port",
    "triton-port_http": "triton.port",
    "triton-port_metrics": "triton.port",
    "triton-processes": "machine.threads",
    "triton-shm": "triton.shm",
    "triton-stub_killed": "triton.stub_died",
    "triton-stub_missing": "triton.stub_missing",
    "triton-syntax_error": "triton.model_syntax",
    "triton-utils_missing": "triton.utils_missing",
    "vllm-batched_tokens": "vllm.batched_tokens",
    "vllm-compiler": "vllm.lscpu",
    "vllm-config_json": "vllm.model_folder",
    "vllm-dtype": "vllm.value",
    "vllm-fp8_kv": "vllm.value",
    "vllm-hub_offline": "vllm.offline",
    "vllm-kv_cache_memory": "vllm.kv_cache_large",
    "vllm-kv_cache_too_small": "vllm.kv_cache_none",
    "vllm-library_missing": "vllm.environment",
    "vllm-lora_rank": "vllm.value",
    "vllm-max_model_len": "vllm.model_length",
    "vllm-memory_utilization": "vllm.cpu_memory_taken",
    "vllm-old_argument": "vllm.old_argument",
    "vllm-open_files": "machine.descriptors",
    "vllm-pipeline": "vllm.parallel_heads",
    "vllm-quantization_cpu": "vllm.quantization_unknown",
    "vllm-quantization_mismatch": "vllm.quantization_config",
    "vllm-quantization_unknown": "vllm.quantization_unknown",
    "vllm-remote_code": "vllm.remote_code",
    "vllm-shadowed_triton": "vllm.shadowed_triton",
    "vllm-tensor_parallel": "vllm.parallel_heads",
    "vllm-unknown_architecture": "vllm.architecture",
    "vllm-unknown_model_type": "vllm.model_type",
    "vllm-weights_cut": "vllm.weights_damaged",
    "vllm-weights_header": "vllm.weights_damaged",
    "vllm-weights_lfs": "vllm.weights_damaged",
    "vllm-weights_missing": "vllm.weights_missing",
    "vllm-weights_shapes": "vllm.weights_shape",
}
# Messages as sources have them (vLLM 0.32, torch 2.13, NCCL), for what a machine without a GPU cannot be made to do.
SOURCES = {
    "machine.killed": "The engine host ended: killed by SIGKILL",
    "triton.libpython": "/x/triton_python_backend_stub: error while loading shared libraries: libpython3.11.so.1.0: "
    "cannot open shared object file: No such file or directory",
    "triton.numpy2": "unpack_from requires a buffer of at least 33686022 bytes",
    "vllm.gpu_memory_taken": "ValueError: Free memory on device cuda:0 (12.1/79.1 GiB) on startup is less than desired "
    "GPU memory utilization (0.92, 72.8 GiB). Decrease GPU memory utilization or reduce GPU memory used by other "
    "processes.",
    "vllm.quantization_gpu": "ValueError: The quantization method fp8 is not supported for the current GPU. Minimum "
    "capability: 75. Current capability: 70.",
    "vllm.bfloat16": "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. "
    "Your Tesla T4 GPU has compute capability 7.5.",
    "vllm.too_few_gpus": "Value error, World size (4) is larger than the number of available GPUs (1) in this node.",
    "vllm.lora_rank": "ValueError: LoRA rank 64 is greater than max_lora_rank 16.",
    "vllm.gated": "huggingface_hub.errors.GatedRepoError: 401 Client Error. Cannot access gated repo for url",
    "vllm.chat_template": "FileNotFoundError: the supplied chat template path doesn't exist",
    "cuda.driver_old": "RuntimeError: The NVIDIA driver on your system is too old (found version 12040). Please update "
    "your GPU driver",
    "cuda.kernel_image": "torch.AcceleratorError: CUDA error: no kernel image is available for execution on the device",
    "cuda.gpu_lost": "CUDA error: uncorrectable ECC error encountered",
    "cuda.mismatch": "ImportError: libcudart.so.12: cannot open shared object file: No such file or directory",
    "cuda.nccl": "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:77, unhandled system error",
    "cuda.nvcc": "RuntimeError: Could not find nvcc and default cuda_home='/usr/local/cuda' doesn't exist",
    "machine.instruction": "engine host: killed by SIGILL",
    "machine.glibc": "ImportError: /lib/x86_64-linux-gnu/libm.so.6: version `GLIBC_2.29' not found (required by x.so)",
}


@pytest.mark.parametrize("log", sorted(CAUSES))
def test_cause_of_a_real_failure(log: str) -> None:
    found = diagnosis.of_logs([LOGS / f"{log}.log"])
    assert [cause.signature.name for cause in found] == [CAUSES[log]]
    assert "{" not in found[0].what + found[0].fix
    assert "…" not in found[0].what, "every group of the text is filled"


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_cause_in_the_words_of_its_source(name: str) -> None:
    assert [cause.signature.name for cause in diagnosis.of_text(SOURCES[name])] == [name]


@pytest.mark.parametrize("log", ["vllm-healthy", "triton-healthy", "trident-healthy"])
def test_healthy_start_has_no_cause(log: str) -> None:
    assert diagnosis.of_logs([LOGS / f"{log}.log"]) == []


def test_what_is_named_in_the_fix() -> None:
    (cause,) = diagnosis.of_logs([LOGS / "vllm-max_model_len.log"])
    assert cause.fix == "--max-model-len 2048"
    (cause,) = diagnosis.of_logs([LOGS / "triton-platform.log"])
    assert 'backend: "python"' in cause.fix


def test_general_cause_is_told_only_when_there_is_no_better() -> None:
    general = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"
    assert [cause.signature.name for cause in diagnosis.of_text(general)] == ["vllm.engine"]
    both = f"{SOURCES['cuda.kernel_image']}\n{general}"
    assert [cause.signature.name for cause in diagnosis.of_text(both)] == ["cuda.kernel_image"]


def test_names_are_unique() -> None:
    names = [signature.name for signature in SIGNATURES]
    assert len(names) == len(set(names))


def test_every_signature_that_claims_a_log_has_one() -> None:
    claimed = {signature.name for signature in SIGNATURES if signature.seen == "log"}
    only_here = {"vllm.engine", "triton.model_failed"}  # general ones, which special causes take the place of
    assert claimed - set(CAUSES.values()) - only_here == set()
    assert {signature.name for signature in SIGNATURES if signature.seen == "text"} == set(SOURCES)
