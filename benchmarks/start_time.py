"""Seconds from the command to the first token: ``trident serve demo`` through KServe against ``vllm serve``.

    python benchmarks/start_time.py [ROUNDS]

A B A B in one run; environments installed, caches warm (one start of each is thrown away first).
"""

from __future__ import annotations

import statistics
import sys

import servers


def main() -> None:
    """Prints each start, the medians and their ratio."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    seconds: dict[str, list[float]] = {"trident": [], "vllm serve": []}
    for number in range(-1, rounds):
        for start in (servers.trident, servers.vllm_serve):
            with start() as server:
                print(f"round {number}: {server.name:10s} {server.first_token_s:6.2f} s", flush=True)
                if number >= 0:
                    seconds[server.name].append(server.first_token_s)
    ours, theirs = (statistics.median(values) for values in seconds.values())
    print(
        f"first token, median of {rounds}: trident {ours:.2f} s, vllm serve {theirs:.2f} s, ratio {ours / theirs:.2f}"
    )


if __name__ == "__main__":
    main()
