from __future__ import annotations

import os
from pathlib import Path

from trident.supervisor import room


def test_small_process_fits_twice() -> None:
    assert room.lacking_on_cpu([os.getpid()], 0) is None


def test_model_that_is_larger_than_the_machine_does_not_fit() -> None:
    why = room.lacking_on_cpu([os.getpid()], 1 << 60)
    assert why is not None and "GiB are free" in why


def test_process_that_is_gone_uses_nothing() -> None:
    assert room.lacking_on_cpu([2**22 + 1], 0) is None


def test_weights_are_counted_by_their_files(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"12345")
    (tmp_path / "config.json").write_bytes(b"{}")
    assert room.weights_bytes(tmp_path) == 5
