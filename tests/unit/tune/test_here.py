"""What a machine and a build can do for a knob."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trident.runtime.engine_env import EngineEnv
from trident.tune.here import Here

SMALL = Here("cpu", cores=2, gpus=0, has_rust_server=False)
EIGHT_GPUS = Here("cuda", cores=128, gpus=8, has_rust_server=True)


@pytest.mark.parametrize(
    ("here", "value", "base", "is_possible"),
    [
        (SMALL, 2, {}, True),
        (SMALL, 4, {}, False),
        (EIGHT_GPUS, 8, {}, True),
        (EIGHT_GPUS, 8, {"tensor_parallel_size": 2}, False),
        (EIGHT_GPUS, 4, {"tensor_parallel_size": 2}, True),
        (SMALL, None, {}, True),
    ],
)
def test_replicas_need_cores_or_gpus(here: Here, value: int | None, base: dict[str, Any], is_possible: bool) -> None:
    assert (here.lacks("data_parallel_size", value, base) is None) == is_possible


def test_choice_of_servers_needs_both() -> None:
    assert "Python server only" in (SMALL.lacks("openai_server", "python", {}) or "")
    assert EIGHT_GPUS.lacks("openai_server", "python", {}) is None


def test_rust_server_is_found_in_the_engine_environment(tmp_path: Path) -> None:
    env = EngineEnv(tmp_path, "cpu", "0.32.0", tmp_path / "bin/python", tmp_path / "arguments.json")
    assert not Here.look(env).has_rust_server
    folder = tmp_path / "lib/python3.12/site-packages/vllm"
    folder.mkdir(parents=True)
    (folder / "vllm-rs").touch()
    assert Here.look(env).has_rust_server


def test_other_knobs_lack_nothing() -> None:
    assert SMALL.lacks("max_num_seqs", 10**6, {}) is None
