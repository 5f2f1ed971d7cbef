"""Measures how fast this machine moves bytes and multiplies: ``python -I machine_rate.py``, with the engine
environment's Python. Prints one line of JSON.

Stands alone, as ``arguments_dump.py`` does. A copy counts as a read and a write. Both are the best of several: what is
wanted is what the machine can do.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable

COPY_BYTES = 256 * 2**20
SIDE = {"cpu": 1024, "cuda": 8192}
SECONDS = 1.0


def main() -> None:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} CPU threads"

    def done() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    source = torch.ones(COPY_BYTES // 4, device=device)
    target = torch.empty_like(source)
    copy_s = fastest_s(lambda: target.copy_(source), done)
    side, rates = SIDE[device], []
    for dtype in (torch.bfloat16, torch.float32):
        matrix = torch.ones(side, side, device=device, dtype=dtype)
        rates.append(2 * side**3 / fastest_s(functools.partial(torch.matmul, matrix, matrix), done))
    found = {"device": name, "bytes_per_s": 2 * COPY_BYTES / copy_s, "operations_per_s": max(rates)}
    print(json.dumps(found))  # noqa: T201 - this is its answer


def fastest_s(work: Callable[[], object], done: Callable[[], None]) -> float:
    """Of as many times as fit into ``SECONDS``, the first left out."""
    work()
    done()
    best_s, end_s = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end_s:
        began_s = time.perf_counter()
        work()
        done()
        best_s = min(best_s, time.perf_counter() - began_s)
    return best_s


if __name__ == "__main__":
    main()
