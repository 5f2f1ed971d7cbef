"""What NVIDIA's driver says, asked once through NVML."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Driver(Generic[T]):
    """``gpus`` are as the asker reads them; ``problem`` says why there is none. ``cuda_version`` is the newest CUDA the
    driver can run, ``(0, 0)`` without one."""

    gpus: tuple[T, ...] = ()
    driver_version: str = ""
    cuda_version: tuple[int, int] = (0, 0)
    problem: str = ""


def ask(read: Callable[[Any, int], T]) -> Driver[T]:
    """``read`` is given pynvml and a GPU's index. Some 20 ms with a driver; call it only where one is loaded, as
    loading NVML is slow elsewhere. Never raises for a broken driver: it says so in ``problem``."""
    try:
        import pynvml
    except ImportError as error:
        return Driver(problem=f"nvidia-ml-py is not installed ({error})")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Driver(problem=f"NVML does not answer: {error}")
    try:
        cuda = int(pynvml.nvmlSystemGetCudaDriverVersion())
        gpus = tuple(read(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount()))
        version = (cuda // 1000, cuda % 1000 // 10)
        problem = "" if gpus else "the NVIDIA driver reports no GPU"
        return Driver(gpus, text(pynvml.nvmlSystemGetDriverVersion()), version, problem)
    except pynvml.NVMLError as error:
        return Driver(problem=f"NVML fails: {error}")
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def text(value: str | bytes) -> str:
    """Older versions of nvidia-ml-py gave bytes."""
    return value.decode() if isinstance(value, bytes) else value
