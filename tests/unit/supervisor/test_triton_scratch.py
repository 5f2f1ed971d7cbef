from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from trident.supervisor import triton_scratch


def test_empty_folders_of_this_run_are_removed(tmp_path: Path) -> None:
    old, new, full = (tmp_path / f"python_env_{name}" for name in ("oldold", "newnew", "fuller"))
    for folder in (old, new, full):
        folder.mkdir()
    (full / "environment").touch()
    os.utime(old, (1.0, 1.0))
    triton_scratch.remove(time.time() - 10, tmp_path, [])
    assert (old.exists(), new.exists(), full.exists()) == (True, False, True)


@pytest.mark.parametrize(("started_ago_s", "stays"), [(3.0, True), (-1.0, True), (-9.0, False), (999.0, False)])
def test_another_server_keeps_the_folder_that_may_be_its_own(tmp_path: Path, started_ago_s: float, stays: bool) -> None:
    folder = tmp_path / "python_env_others"
    folder.mkdir()
    now = time.time()
    triton_scratch.remove(now - 10, tmp_path, [now - started_ago_s])
    assert folder.exists() == stays
