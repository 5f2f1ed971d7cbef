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
import json
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from load_tools import Asked, Reported, Tool, tools

PACED_SERVER = Path(__file__).parents[1] / "tests" / "unit" / "bench" / "paced_server.py"
TOKENS, REQUESTS_PER_STREAM = 128, 4
HEADER = (
    "                  TTFT p50 true  reported  error ms | TPOT p50 true  reported  error % "
    "| tokens/s | CPU µs/token: client  whole | start s"
)


@dataclass(frozen=True)
class Run:
    """One tool's run and the truth of it. ``start_s`` is the CPU time that does not grow with tokens."""

    reported: Reported
    truth: dict[str, float]
    start_s: float

    @property
    def ttft_error_ms(self) -> float:
        return self.reported.ttft_p50_ms - self.truth["ttft_p50_ms"]

    @property
    def tpot_error_share(self) -> float:
        return self.reported.tpot_p50_ms / self.truth["tpot_p50_ms"] - 1

    @property
    def us_per_token(self) -> float:
        return 1e6 * (self.reported.cpu_s - self.start_s) / self.truth["tokens"]


def main() -> None:
    """Prints each run, then the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    streams = int(sys.argv[2]) if len(sys.argv) > 2 else 256
    compared = tools()
    with _paced_server() as url:
        start_s = {tool.name: tool.run(Asked(url, "paced", 1, 2, TOKENS)).cpu_s for tool in compared}
        runs: dict[str, list[Run]] = {tool.name: [] for tool in compared}
        for number in range(rounds):
            for tool in compared:
                run = _one(tool, url, streams, start_s[tool.name])
                runs[tool.name].append(run)
                print(f"round {number}: {tool.name:16s} {_line(run)}", flush=True)
    print(f"\n{streams} streams, {streams * REQUESTS_PER_STREAM} requests, median of {rounds} runs:\n{HEADER}")
    for name, mine in runs.items():
        print(f"{name:16s} {_row(mine)}")


def _one(tool: Tool, url: str, streams: int, start_s: float) -> Run:
    """The truth is of the last requests: a tool's own first probes are not its measurement."""
    requests = streams * REQUESTS_PER_STREAM
    _ask(f"{url}/reset")
    reported = tool.run(Asked(url, "paced", streams, requests, TOKENS))
    return Run(reported, _ask(f"{url}/truth?last={requests}"), start_s)


def _line(run: Run) -> str:
    reported, truth = run.reported, run.truth
    return (
        f"TTFT {reported.ttft_p50_ms:8.2f} (true {truth['ttft_p50_ms']:.2f}, {run.ttft_error_ms:+.2f} ms)  "
        f"TPOT {reported.tpot_p50_ms:6.3f} (true {truth['tpot_p50_ms']:.3f}, {run.tpot_error_share:+.2%})  "
        f"{reported.client_us_per_token:.1f} / {run.us_per_token:.1f} µs/token  "
        f"server late p99 {truth['late_p99_ms']:.1f} ms"
    )


def _row(runs: list[Run]) -> str:
    def median(value: Callable[[Run], float]) -> float:
        return statistics.median(value(run) for run in runs)

    return (
        f"{median(lambda run: run.truth['ttft_p50_ms']):14.2f}{median(lambda run: run.reported.ttft_p50_ms):10.2f}"
        f"{median(lambda run: run.ttft_error_ms):+10.2f} |{median(lambda run: run.truth['tpot_p50_ms']):14.3f}"
        f"{median(lambda run: run.reported.tpot_p50_ms):10.3f}{100 * median(lambda run: run.tpot_error_share):+9.2f} |"
        f"{median(lambda run: run.reported.output_tokens_per_s):9.0f} |"
        f"{median(lambda run: run.reported.client_us_per_token):21.1f}{median(lambda run: run.us_per_token):7.1f} |"
        f"{runs[0].start_s:8.1f}"
    )


@contextlib.contextmanager
def _paced_server() -> Iterator[str]:
    with subprocess.Popen([sys.executable, str(PACED_SERVER)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def _ask(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


if __name__ == "__main__":
    main()
