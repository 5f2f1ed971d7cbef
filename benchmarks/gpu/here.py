"""Says where this machine's installation is, in ``smoke.py``'s and ``speed.py``'s words, for a rehearsal on a CPU:

    PYTHONPATH=benchmarks python benchmarks/gpu/speed.py $(python benchmarks/gpu/here.py) --out /tmp/speed \\
        --most-streams 8 --most-tokens 16 --patience 20 --budget-s 300
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

from trident.config import paths
from trident.runtime.control_env import triton_install
from trident.runtime.engine_env import engine_env

MODEL = Path(__file__).parents[2] / "src" / "trident" / "models" / "demo"


def main() -> int:
    """Prints the flags."""
    engine, triton = engine_env("cpu", paths.data_dir()), triton_install(paths.data_dir())
    if engine is None:
        print("no engine environment; run: trident setup", file=sys.stderr)
        return 1
    flags = ["--model", MODEL, "--build", "cpu", "--engine-python", engine.python, "--triton", triton.server]
    flags += [
        "--triton-libraries",
        *triton.library_dirs,
        "--backends",
        triton.backend_dir,
        "--stub-python",
        triton.python,
    ]
    # No spaces: the shell splits at them.
    settings = {"enforce_eager": True, "kv_cache_memory_bytes": 256 << 20}
    print(*map(str, flags), "--engine", shlex.quote(json.dumps(settings, separators=(",", ":"))).strip("'"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
