from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import triton_fakes

sys.modules.setdefault("triton_python_backend_utils", triton_fakes.module())
