"""What the exporter's GPU source says on a machine with a GPU, at rest and at work, and what a look costs:

    PYTHONPATH=src:DEPENDENCIES python3 benchmarks/gpu/nvml.py

Needs the driver, nvidia-ml-py, msgspec, psutil and pydantic; with PyTorch beside them the GPU is given something to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from pathlib import Path

from trident.monitor.sources.gpus import Gpus

LOOKS = 50


async def main() -> int:
    """Prints the page twice; 1 when there is nothing on it."""
    with tempfile.TemporaryDirectory() as folder:
        source = Gpus(Path(folder))
        print(await source.read())
        product = None
        with contextlib.suppress(ImportError):
            import torch

            matrix = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
            begun_s = time.monotonic()
            while time.monotonic() - begun_s < 4:
                product = matrix @ matrix
            page = await source.read()
            torch.cuda.synchronize()
        if product is None:
            page = await source.read()
        print(page)
        begun_s, begun_cpu_s = time.monotonic(), time.process_time()
        for _ in range(LOOKS):
            await source.read()
        took_ms = 1e3 * (time.monotonic() - begun_s) / LOOKS
        cpu_ms = 1e3 * (time.process_time() - begun_cpu_s) / LOOKS
        print(f"a look takes {took_ms:.2f} ms, {cpu_ms:.2f} ms of a core")
        return 0 if page else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
