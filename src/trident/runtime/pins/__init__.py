"""The pinned contents of the engine environments.

``engine-cpu.txt`` and ``engine-cuda.txt`` hold every package with hashes; ``tools/pins.py`` writes them. torch of the
CPU build is not in its file: the same version comes as different files from different places (a mirror, a folder of
wheels, PyTorch's own index), so only its version is pinned, here.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

Build = Literal["cpu", "cuda"]

VLLM_VERSION = "0.32.0"
CPU_TORCH = "torch==2.13.0+cpu"
# vLLM's wheels start at Python 3.11; the control environment may be older than that.
ENGINE_PYTHONS = ("3.12", "3.11", "3.13")
# The CUDA that the CUDA build's torch is made for: older drivers cannot load it.
CUDA_VERSION_NEEDED = (13, 0)
GIB_BYTES = 1 << 30
DISK_NEEDED_BYTES: dict[Build, int] = {"cpu": 3 * GIB_BYTES, "cuda": 12 * GIB_BYTES}

FOLDER = Path(__file__).parent
AIPERF_VERSION = "0.13.0"
AIPERF_FILE = FOLDER / "aiperf.txt"


def pins_file(build: Build) -> Path:
    """The requirements file of ``build``, every line with hashes."""
    return FOLDER / f"engine-{build}.txt"


def digest(file: Path) -> str:
    """Names the exact contents of a requirements file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def pins_digest(build: Build) -> str:
    """Names the exact contents of ``build``; an environment made from other contents is not complete."""
    digest = hashlib.sha256(pins_file(build).read_bytes())
    if build == "cpu":
        digest.update(CPU_TORCH.encode())
    return digest.hexdigest()
