"""What this GPU reads from its memory and multiplies in a second, by torch; JSON on standard output."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import torch

COPIED_BYTES = 4 << 30
SIDE = 8192
TIMES = 20


def main() -> None:
    """The best of three, as a roofline is a bound."""
    source = torch.empty(COPIED_BYTES, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    left = torch.randn(SIDE, SIDE, dtype=torch.bfloat16, device="cuda")
    copied_s = min(_seconds(lambda: target.copy_(source)) for _ in range(3))
    multiplied_s = min(_seconds(lambda: left @ left) for _ in range(3))
    print(
        json.dumps(
            {
                "memory_bytes_per_s": round(2 * COPIED_BYTES / copied_s),  # read and written
                "bf16_flop_per_s": round(2 * SIDE**3 / multiplied_s),
            }
        )
    )


def _seconds(work: Callable[[], object]) -> float:
    work()
    torch.cuda.synchronize()
    begun_s = time.perf_counter()
    for _ in range(TIMES):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - begun_s) / TIMES


if __name__ == "__main__":
    main()
