"""Output tokens per second at 64 streams: Trident through KServe against ``vllm serve``'s OpenAI stream.

    python benchmarks/throughput.py [ROUNDS]

Both run alone, one after the other, A B A B: on few cores two engines at once would share them. Each round starts a
server, warms it up with one batch and measures 192 requests of 128 tokens.
"""

from __future__ import annotations

import asyncio
import statistics
import sys

import servers
import streams

STREAMS, REQUESTS, TOKENS = 64, 192, 128


def main() -> None:
    """Prints each run, the medians and their ratio."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    speed: dict[str, list[float]] = {"trident": [], "vllm serve": []}
    for number in range(rounds):
        for start in (servers.trident, servers.vllm_serve):
            with start() as server:
                asyncio.run(streams.run(server.target, streams=STREAMS, requests=STREAMS, tokens=TOKENS, seed=999))
                for repeat in range(2):
                    seed = 10 * number + repeat
                    result = asyncio.run(
                        streams.run(server.target, streams=STREAMS, requests=REQUESTS, tokens=TOKENS, seed=seed)
                    )
                    speed[server.name].append(result.tokens_per_s)
                    print(f"round {number}: {server.name:10s} {result.summary()}", flush=True)
    ours, theirs = (statistics.median(values) for values in speed.values())
    print(f"tokens/s, median of {2 * rounds}: trident {ours:.0f}, vllm serve {theirs:.0f}, ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
