"""What a bug report needs to know of an installation: ``trident env``."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from dataclasses import asdict
from typing import Any

import trident
from trident.config import paths
from trident.doctor.patient import Patient

PACKAGES = (
    "nvidia-pytriton",
    "numpy",
    "pyzmq",
    "msgspec",
    "tokenizers",
    "pydantic",
    "huggingface-hub",
    "modelscope",
    "uv",
)
VARIABLES = (
    "TRIDENT_",
    "CUDA_",
    "NVIDIA_",
    "VLLM_",
    "HF_",
    "MODELSCOPE_",
    "NCCL_",
    "OMP_",
    "LD_",
    "TORCH_",
    "PYTORCH_",
)
VALUES_TOLD = ("CUDA_VISIBLE_DEVICES", "CUDA_HOME", "OMP_NUM_THREADS", "LD_LIBRARY_PATH", "HF_HUB_OFFLINE", "HF_HOME")


def facts(patient: Patient) -> dict[str, Any]:
    """Plain values for JSON. Variables are told by name; by value only those that hold no secret."""
    engine = patient.engine
    return {
        "trident": trident.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "distribution": _distribution(),
        "libc": " ".join(platform.libc_ver()),
        "container": _container(),
        "cpu": {"cores": patient.hardware.cpu_cores, "memory_bytes": patient.hardware.memory_bytes},
        "gpu": {
            "problem": patient.gpus.problem,
            "driver": patient.gpus.driver_version,
            "cuda": ".".join(map(str, patient.gpus.cuda_version)) if patient.gpus.driver_version else "",
            "gpus": [asdict(gpu) for gpu in patient.gpus.gpus],
        },
        "engine": {"vllm": engine.vllm_version, "build": engine.build, "path": str(engine.path)} if engine else None,
        "packages": {name: _version(name) for name in PACKAGES},
        "places": {"data": str(paths.data_dir()), "state": str(paths.state_dir())},
        "variables": {name: _told(name) for name in sorted(os.environ) if name.startswith(VARIABLES)},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _told(name: str) -> str:
    return os.environ[name] if name in VALUES_TOLD else "(set)"


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""


def _container() -> str:
    for mark, name in (("/.dockerenv", "docker"), ("/run/.containerenv", "podman")):
        if os.path.exists(mark):  # noqa: PTH110 - one question of a fixed path
            return name
    return os.environ.get("container", "")  # noqa: SIM112 - systemd-nspawn and podman write it so
