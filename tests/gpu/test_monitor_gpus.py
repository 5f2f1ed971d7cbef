"""The exporter's GPU families on a real GPU."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from trident.monitor.sources.gpus import Gpus
from trident.runtime import hardware

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not hardware.detect().gpus, reason="this machine has no NVIDIA GPU"),
]


def test_driver_says_what_its_own_tool_says(tmp_path: Path) -> None:
    source = Gpus(tmp_path)

    first, second = asyncio.run(source.read()), asyncio.run(source.read())

    for family in ("utilization_ratio", "memory_used_bytes", "power_watts", "temperature_celsius", "xid_errors_total"):
        assert re.search(rf"^trident_gpu_{family}{{gpu=\"0\"", second, re.MULTILINE), family
    (total,) = set(re.findall(r"^trident_gpu_memory_total_bytes{gpu=\"0\".*} (\d+)$", first, re.MULTILINE))
    assert abs(int(total) - hardware.detect().gpus[0].memory_bytes) < 2**30
    assert re.search(r"^trident_gpu_up{gpu=\"0\".*} 1$", second, re.MULTILINE)
