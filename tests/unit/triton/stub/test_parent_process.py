from __future__ import annotations

import os
from pathlib import Path

from trident.triton.stub.parent_process import triton_pid


def test_stub_reads_its_tritons_pid_from_its_command_line(tmp_path: Path) -> None:
    line = tmp_path / "cmdline"
    words = ["/b/triton_python_backend_stub", "/m.py", "shm", "1048576", "1048576", "4242", "/b", "336", "g_0_0"]
    line.write_bytes("\0".join(words).encode() + b"\0")
    assert triton_pid(line) == 4242


def test_other_program_asks_the_kernel(tmp_path: Path) -> None:
    line = tmp_path / "cmdline"
    line.write_bytes(b"python\0-m\0pytest\0-q\0--timeout\0" + b"20\0")
    assert triton_pid(line) == triton_pid() == os.getppid()
