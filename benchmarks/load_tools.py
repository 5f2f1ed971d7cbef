"""Load tests as programs: ``trident bench`` and vLLM's own, asked for the same load."""

from __future__ import annotations

import functools
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trident.config import paths
from trident.runtime.engine_env import engine_env

TOKENIZER = Path(__file__).parents[1] / "src" / "trident" / "models" / "demo"
INPUT_TOKENS = 128
RUN_TIMEOUT_S = 600
# The console script refuses the CPU build's name; this is what stands behind `vllm bench serve`.
VLLM_BENCH = (
    "import argparse; from vllm.benchmarks.serve import add_cli_args, main; p = argparse.ArgumentParser();"
    "add_cli_args(p); main(p.parse_args())"
)


@dataclass(frozen=True)
class Asked:
    """A closed loop at an OpenAI completions API. All requests count: there is no warm-up."""

    url: str
    model: str
    streams: int
    requests: int
    output_tokens: int
    seed: int = 0


@dataclass(frozen=True)
class Reported:
    """A tool's own figures of one run; throughput over the whole run. ``cpu_s`` is of all its processes."""

    ttft_p50_ms: float
    tpot_p50_ms: float
    output_tokens_per_s: float
    cpu_s: float = 0.0
    client_us_per_token: float = float("nan")


@dataclass(frozen=True)
class Tool:
    """``run`` does what is asked and reports."""

    name: str
    run: Callable[[Asked], Reported]


def tools() -> list[Tool]:
    """Those that are here."""
    found = [Tool("trident bench", trident_bench)]
    env = engine_env("auto", paths.data_dir())
    if env is None:
        print("no engine environment, so no vLLM to compare with; run: trident setup")
        return found
    found.append(Tool("vllm bench serve", functools.partial(vllm_bench, [str(env.python), "-c", VLLM_BENCH])))
    for binary in env.python.parents[1].glob("lib/python3*/site-packages/vllm/vllm-rs"):
        found.append(Tool("vllm-rs bench", functools.partial(vllm_bench, [str(binary), "bench", "serve"])))
    return found


def trident_bench(asked: Asked) -> Reported:
    """Ours."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "trident", "bench", "--api", "openai-completions", "--url", asked.url]
        command += ["--model", asked.model, "--tokenizer", str(TOKENIZER), "--input-tokens", str(INPUT_TOKENS)]
        command += ["--output-tokens", str(asked.output_tokens), "--seed", str(asked.seed)]
        command += ["--concurrency", str(asked.streams), "--num-requests", str(asked.requests)]
        command += ["--warmup-requests", "0", "--allow-client-bound", "--output", folder]
        cpu_s = _run(command, {})
        (point,) = json.loads((Path(folder) / "result.json").read_text())["points"]
    found = point["distributions"]
    return Reported(
        found["ttft"]["p50"]["value"],
        found["tpot"]["p50"]["value"],
        point["whole_run_rates"]["output_token_throughput"]["value"],
        cpu_s,
        point["client"]["cpu_us_per_token"],
    )


def vllm_bench(program: list[str], asked: Asked) -> Reported:
    """vLLM's, in Python or in Rust."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*program, "--backend", "openai", "--base-url", asked.url, "--endpoint", "/v1/completions"]
        command += ["--model", asked.model, "--tokenizer", str(TOKENIZER), "--dataset-name", "random", "--ignore-eos"]
        command += ["--random-input-len", str(INPUT_TOKENS), "--random-output-len", str(asked.output_tokens)]
        command += ["--num-prompts", str(asked.requests), "--max-concurrency", str(asked.streams)]
        command += ["--seed", str(asked.seed), "--save-result", "--result-dir", folder, "--result-filename", "r.json"]
        command += ["--disable-tqdm", "--ready-check-timeout-sec", "0"]
        cpu_s = _run(command, {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"})
        found = json.loads((Path(folder) / "r.json").read_text())
    return Reported(found["median_ttft_ms"], found["median_tpot_ms"], found["output_throughput"], cpu_s)


def _run(command: list[str], environ: dict[str, str]) -> float:
    """CPU seconds of the command and of what it started."""
    before_s = _children_s()
    done = subprocess.run(
        command, env={**os.environ, **environ}, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{command[:4]} ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return _children_s() - before_s


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
