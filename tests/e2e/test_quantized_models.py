"""Quantised models: each format is loaded and answers right, one through Trident, the others by vLLM alone."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import quantized_model
from served import Served, questions

from trident.config.paths import data_dir
from trident.doctor.checks.machine import CPUINFO, cpu_flags
from trident.runtime.engine_env import engine_env

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

# What vLLM's CPU build has kernels for depends on the CPU; W8A8, which needs nothing, is the one that Trident serves.
NEEDS = {"awq": "avx512f", "gptq": "avx512f", "fp8": "amx_tile"}
ASKED, RIGHT_AT_LEAST = 12, 9
QUESTION, ANSWER = "What is the capital of France?\n", "The capital of France is Paris."


def test_every_format_that_this_cpu_has_kernels_for_is_loaded(tmp_path: Path) -> None:
    env = engine_env("cpu", data_dir())
    assert env is not None
    names = [name for name, feature in NEEDS.items() if feature in cpu_flags(CPUINFO)]
    if not names:
        pytest.skip(f"this CPU has none of {', '.join(sorted(set(NEEDS.values())))}")
    folders = [str(quantized_model.write(tmp_path / name, name)) for name in names]
    script = Path(__file__).with_name("ask_vllm.py")
    done = subprocess.run(
        [env.python, "-I", script, QUESTION, *folders], cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == dict.fromkeys(folders, ANSWER)


def test_quantised_model_answers_at_every_door(tmp_path: Path) -> None:
    folder = quantized_model.write(tmp_path / "demo-int8", "int8")
    served = replace(Served.plan(tmp_path / "state"), model_name=folder.name)
    started = served.serve(str(folder), "--stubs", "1")
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        right = 0
        for one in questions("capital")[:ASKED]:
            answer = served.generate(one["question"]).json()["text_output"]
            assert answer == served.complete(one["question"])["choices"][0]["text"]
            right += answer.strip() == one["answer"].strip()
        assert right >= RIGHT_AT_LEAST, f"{right} of {ASKED}"
    finally:
        stopped = served.trident("stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
