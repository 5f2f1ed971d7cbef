"""What the CPU build cannot show: quantised weights by the GPU's kernels, KV cache and weights in the host's memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import quantized_model
from served import Served, questions

from trident.runtime import hardware

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not hardware.detect().gpus, reason="this machine has no NVIDIA GPU"),
]

CUDA = ("--engine-build", "cuda", "--gpu-memory-utilization", "0.3", "--stubs", "1")
ASKED, RIGHT_AT_LEAST = 12, 9


def right_answers(served: Served) -> int:
    known = questions("capital")[:ASKED]
    return sum(served.generate(one["question"]).json()["text_output"].strip() == one["answer"].strip() for one in known)


# In squares of 128 the demo model's layers of 192 cannot be: the kernels of GPUs want whole ones.
@pytest.mark.parametrize("name", sorted(set(quantized_model.FORMATS) - {"fp8"}))
def test_quantised_model_answers_on_a_gpu(name: str, tmp_path: Path) -> None:
    folder = quantized_model.write(tmp_path / f"demo-{name}", name)
    served = replace(Served.plan(tmp_path / "state"), model_name=folder.name)
    started = served.serve(str(folder), *CUDA)
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        assert right_answers(served) >= RIGHT_AT_LEAST
    finally:
        served.trident("stop", timeout_s=120)


@pytest.mark.parametrize(
    ("flags", "sign"),
    [
        (
            ("--kv-offloading-size", "1", "--num-gpu-blocks-override", "64", "--max-model-len", "512"),
            "OffloadingConnector",
        ),
        (("--cpu-offload-gb", "0.001"), "cpu_offload_gb"),
        (("--quantization", "fp8"), "fp8"),
    ],
    ids=["kv-offloading", "weight-offloading", "fp8-while-loading"],
)
def test_memory_is_spared_on_a_gpu(flags: tuple[str, ...], sign: str, tmp_path: Path) -> None:
    served = Served.plan(tmp_path / "state")
    started = served.serve("demo", *CUDA, *flags)
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        assert right_answers(served) >= RIGHT_AT_LEAST
        assert right_answers(served) >= RIGHT_AT_LEAST, "and again, from what was kept"
        assert sign in served.log("engine")
    finally:
        served.trident("stop", timeout_s=120)
