"""The demo model on a real GPU: the CUDA build, its Rust OpenAI server, both contracts."""

from __future__ import annotations

from pathlib import Path

import pytest
from served import Served

from trident.runtime import hardware

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not hardware.detect().gpus, reason="this machine has no NVIDIA GPU"),
]


def test_demo_answers_through_every_door_on_a_gpu(tmp_path: Path) -> None:
    served = Served.plan(tmp_path)
    started = served.serve("demo", "--engine-build", "cuda", "--gpu-memory-utilization", "0.3")
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        assert served.generate("The capital of France is").json()["text_output"] == " Paris."
        assert "".join(event["text_output"] for event in served.stream("The capital of France is")) == " Paris."
        recipe = served.infer(["The capital of France is"], temperature=("FP32", 0.0))
        assert recipe.json()["outputs"][0]["data"] == [" Paris."]
        assert served.complete("The capital of France is")["choices"][0]["text"] == " Paris."
    finally:
        stopped = served.trident("stop", timeout_s=120)
    assert stopped.returncode == 0, stopped.stderr
