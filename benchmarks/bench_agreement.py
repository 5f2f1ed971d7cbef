"""Whether load tests agree on a real server: ``trident bench`` and vLLM's own against the served demo model at equal
load.

    python benchmarks/bench_agreement.py [ROUNDS] [STREAMS]

Each tool in turn, A B A B, after one run of each that is thrown away; 128 tokens in, 128 out, all requests count,
throughput over the whole run. Prints each tool's medians and their distance from vLLM's. What two runs of one tool
differ by is printed too: no agreement can be seen below that.
"""

from __future__ import annotations

import statistics
import sys

import servers
from load_tools import Asked, Reported, tools

TOKENS, REQUESTS_PER_STREAM = 128, 40
FIGURES = {"TTFT p50 ms": "ttft_p50_ms", "TPOT p50 ms": "tpot_p50_ms", "output tokens/s": "output_tokens_per_s"}


def main() -> None:
    """Prints each run, then the comparison."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    streams = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    compared = tools()
    runs: dict[str, list[Reported]] = {tool.name: [] for tool in compared}
    with servers.trident() as server:
        state = server.state()
        url = state["urls"]["OpenAI"].removesuffix("/v1")
        for number in range(-1, rounds):
            for tool in compared:
                asked = Asked(url, "demo", streams, streams * REQUESTS_PER_STREAM, TOKENS, seed=100 + number)
                reported = tool.run(asked)
                print(f"round {number}: {tool.name:16s} {_line(reported)}", flush=True)
                if number >= 0:
                    runs[tool.name].append(reported)
    print(f"\n{streams} streams, median of {rounds} runs of {streams * REQUESTS_PER_STREAM} requests:")
    reference = runs[compared[-1].name]
    for name, mine in runs.items():
        print(f"  {name}")
        for title, figure in FIGURES.items():
            ours, theirs = _median(mine, figure), _median(reference, figure)
            print(f"    {title:16s} {ours:9.2f}  {ours / theirs - 1:+7.2%}  (runs within {_spread(mine, figure):.1%})")


def _line(reported: Reported) -> str:
    return "  ".join(f"{title} {getattr(reported, figure):8.2f}" for title, figure in FIGURES.items())


def _median(runs: list[Reported], figure: str) -> float:
    return statistics.median(getattr(run, figure) for run in runs)


def _spread(runs: list[Reported], figure: str) -> float:
    values = [getattr(run, figure) for run in runs]
    return (max(values) - min(values)) / statistics.median(values)


if __name__ == "__main__":
    main()
