"""What CPUs of its own bring the engine on a CPU: output tokens per second and start, A B A B.

    python benchmarks/core_cpus.py [ROUNDS] [--streams 64]

``trident serve demo`` as it is, and with ``--core-cpus 0``, where all share all. Each round starts each once, warms
both doors up, and measures KServe and OpenAI: twice 192 requests of 128 tokens.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics

import servers
import streams

REQUESTS, TOKENS = 192, 128
VARIANTS = {"own CPUs": (), "all share": ("--core-cpus", "0")}


def _speed(target: streams.Target, clients: int, seed: int) -> float:
    asyncio.run(streams.run(target, streams=clients, requests=clients, tokens=TOKENS, seed=999))
    runs = (streams.run(target, streams=clients, requests=REQUESTS, tokens=TOKENS, seed=seed + n) for n in range(2))
    return statistics.mean(asyncio.run(run).tokens_per_s for run in runs)


def main() -> None:
    """Prints each round and the ratios of the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rounds", type=int, nargs="?", default=3)
    parser.add_argument("--streams", type=int, default=64)
    options = parser.parse_args()
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in VARIANTS}
    for number in range(options.rounds):
        for name, arguments in VARIANTS.items():
            with servers.trident(*arguments) as server:
                doors = (server.target, streams.openai(server.openai_port, "demo"))
                speeds = [_speed(door, options.streams, 10 * number) for door in doors]
                rows[name].append((server.first_token_s, *speeds))
            first_s, kserve, openai = rows[name][-1]
            told = f"first token {first_s:5.2f} s, KServe {kserve:6.0f}, OpenAI {openai:6.0f} tokens/s"
            print(f"round {number}: {name:10s} {told}", flush=True)
    own, shared = (list(map(statistics.median, zip(*each, strict=True))) for each in rows.values())
    ratios = [mine / theirs for mine, theirs in zip(own, shared, strict=True)]
    print("own CPUs / all share: first token {:.2f}, KServe {:.2f}, OpenAI {:.2f}".format(*ratios))


if __name__ == "__main__":
    main()
