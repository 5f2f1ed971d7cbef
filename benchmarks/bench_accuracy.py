"""What load tests report of a server whose truth is known, and what they cost: ``trident bench`` beside vLLM's own.

    python benchmarks/bench_accuracy.py [ROUNDS] [STREAMS]

The paced server sends one token each 10 ms to each of 256 streams of 128 tokens, four requests in a row on each; it
writes down when it really sent. Each tool in turn, A B A B. Error: reported minus the server's own figure for the same
requests. CPU: user and system time of all the tool's processes, less that of a run of two requests; and, of trident
bench, its client's own figure (sending, reading and counting, without figures, files and report). vllm-rs bench runs
too where the build of vLLM carries it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trident.config import paths
from trident.runtime.engine_env import engine_env

ROOT = Path(__file__).parents[1]
PACED_SERVER = ROOT / "tests" / "unit" / "bench" / "paced_server.py"
TOKENIZER = ROOT / "src" / "trident" / "models" / "demo"
TOKENS, REQUESTS_PER_STREAM = 128, 4
RUN_TIMEOUT_S = 300
# The console script refuses the CPU build's name; this is what stands behind `vllm bench serve`.
VLLM_BENCH = (
    "import argparse; from vllm.benchmarks.serve import add_cli_args, main; p = argparse.ArgumentParser();"
    "add_cli_args(p); main(p.parse_args())"
)


@dataclass(frozen=True)
class Reported:
    """A tool's own figures of one run."""

    ttft_p50_ms: float
    tpot_p50_ms: float
    client_us_per_token: float = float("nan")


@dataclass(frozen=True)
class Tool:
    """``run`` takes the server's URL, the streams and the requests."""

    name: str
    run: Callable[[str, int, int], Reported]


@dataclass(frozen=True)
class Run:
    """One tool's run and the truth of it."""

    reported: Reported
    truth: dict[str, float]
    cpu_s: float

    @property
    def ttft_error_ms(self) -> float:
        return self.reported.ttft_p50_ms - self.truth["ttft_p50_ms"]

    @property
    def tpot_error_share(self) -> float:
        return self.reported.tpot_p50_ms / self.truth["tpot_p50_ms"] - 1


def trident_bench(url: str, streams: int, requests: int) -> Reported:
    """All requests count, as vLLM's do: no warm-up."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "trident", "bench", "--api", "openai-completions", "--url", url]
        command += ["--concurrency", str(streams), "--num-requests", str(requests), "--warmup-requests", "0"]
        command += ["--output-tokens", str(TOKENS), "--allow-client-bound", "--output", folder]
        _run(command, {})
        (point,) = json.loads((Path(folder) / "result.json").read_text())["points"]
    found = point["distributions"]
    cpu_us = point["client"]["cpu_us_per_token"]
    return Reported(found["ttft"]["p50"]["value"], found["tpot"]["p50"]["value"], cpu_us)


def vllm_bench(program: list[str], url: str, streams: int, requests: int) -> Reported:
    """The same load by vLLM's benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*program, "--backend", "openai", "--base-url", url, "--endpoint", "/v1/completions"]
        command += ["--model", "paced", "--tokenizer", str(TOKENIZER), "--dataset-name", "random", "--ignore-eos"]
        command += ["--random-input-len", "128", "--random-output-len", str(TOKENS), "--num-prompts", str(requests)]
        command += ["--max-concurrency", str(streams), "--save-result", "--result-dir", folder]
        command += ["--result-filename", "r.json", "--disable-tqdm", "--ready-check-timeout-sec", "0"]
        _run(command, {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"})
        found = json.loads((Path(folder) / "r.json").read_text())
    return Reported(found["median_ttft_ms"], found["median_tpot_ms"])


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


def main() -> None:
    """Prints each run, then the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    streams = int(sys.argv[2]) if len(sys.argv) > 2 else 256
    compared = tools()
    with _paced_server() as url:
        start_s = {tool.name: _one(tool, url, 1, 2).cpu_s for tool in compared}
        runs: dict[str, list[Run]] = {tool.name: [] for tool in compared}
        for number in range(rounds):
            for tool in compared:
                run = _one(tool, url, streams, streams * REQUESTS_PER_STREAM)
                runs[tool.name].append(run)
                print(f"round {number}: {tool.name:16s} {_line(run, start_s[tool.name])}", flush=True)
    print(f"\n{streams} streams, {streams * REQUESTS_PER_STREAM} requests, median of {rounds} runs:")
    print(
        "                  TTFT p50 true  reported  error ms | TPOT p50 true  reported  error % | CPU µs/token: client  whole | start s"
    )
    for name, mine in runs.items():
        print(f"{name:16s} {_row(mine, start_s[name])}")


def _one(tool: Tool, url: str, streams: int, requests: int) -> Run:
    _ask(url, "/reset")
    before_s = _children_s()
    reported = tool.run(url, streams, requests)
    cpu_s = _children_s() - before_s
    return Run(reported, _truth_of(url, requests), cpu_s)


def _truth_of(url: str, requests: int) -> dict[str, float]:
    """Of the last ``requests`` ones: a tool's own first probes are not its measurement."""
    return _ask(url, f"/truth?last={requests}")  # type: ignore[no-any-return]


def _cpu_us_per_token(run: Run, start_s: float) -> float:
    return 1e6 * (run.cpu_s - start_s) / run.truth["tokens"]


def _line(run: Run, start_s: float) -> str:
    return (
        f"TTFT {run.reported.ttft_p50_ms:8.2f} (true {run.truth['ttft_p50_ms']:.2f}, {run.ttft_error_ms:+.2f} ms)  "
        f"TPOT {run.reported.tpot_p50_ms:6.3f} (true {run.truth['tpot_p50_ms']:.3f}, {run.tpot_error_share:+.2%})  "
        f"{run.reported.client_us_per_token:5.1f} / {_cpu_us_per_token(run, start_s):.1f} µs/token  server late p99 {run.truth['late_p99_ms']:.1f} ms"
    )


def _row(runs: list[Run], start_s: float) -> str:
    def median(value: Callable[[Run], float]) -> float:
        return statistics.median(value(run) for run in runs)

    return (
        f"{median(lambda run: run.truth['ttft_p50_ms']):14.2f}{median(lambda run: run.reported.ttft_p50_ms):10.2f}"
        f"{median(lambda run: run.ttft_error_ms):+10.2f} |{median(lambda run: run.truth['tpot_p50_ms']):14.3f}"
        f"{median(lambda run: run.reported.tpot_p50_ms):10.3f}{100 * median(lambda run: run.tpot_error_share):+9.2f} |"
        f"{median(lambda run: run.reported.client_us_per_token):21.1f}"
        f"{median(lambda run: _cpu_us_per_token(run, start_s)):7.1f} |{start_s:8.1f}"
    )


@contextlib.contextmanager
def _paced_server() -> Iterator[str]:
    with subprocess.Popen([sys.executable, str(PACED_SERVER)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def _run(command: list[str], environ: dict[str, str]) -> None:
    done = subprocess.run(
        command, env={**os.environ, **environ}, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{command[:4]} ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def _ask(url: str, path: str) -> Any:
    with urllib.request.urlopen(url + path, timeout=10) as answer:
        return json.load(answer)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
