"""What it ran on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

LIMITS_WITHIN_S = 90


def facts() -> dict[str, Any]:
    """CPU, kernel and GPU by name."""
    found: dict[str, Any] = {"cpus": os.cpu_count(), "python": platform.python_version(), "kernel": platform.release()}
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    found["cpu"] = next((line.split(":", 1)[1].strip() for line in cpuinfo if line.startswith("model name")), "")
    try:
        query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
        found["gpu"] = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        found["gpu"] = None
    return found


def limits(python: Path) -> dict[str, Any]:
    """Of the GPU's memory and of its matrix units, as ``python``'s torch gets them; what went wrong, else."""
    command = [str(python), str(Path(__file__).with_name("speed_roofline.py"))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMITS_WITHIN_S, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return {"failed": repr(error)}
    return found
