"""Half of what the server can do for half an hour, with clients that cancel, vanish and ask nonsense: what grows?

    python benchmarks/soak.py [--minutes 30] [--streams 64] [--json FILE] [arguments of trident serve ...]

The capacity is measured first (closed loop of the mix). Each 10 s: resident memory and heap, descriptors and
threads of each process, and the bytes of /dev/shm that they have mapped. A slope is that of a straight line through
the means of blocks, with its 95 % interval; the first fifth, in which caches and pools fill, is left out. *Flat* is an
interval within the allowance (``slopes.ALLOWED``), *unclear* one that reaches beyond it, as in short runs. Exit code 1
when something grows or was answered wrongly.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import hazard_quiet
import numpy as np
import psutil
import server_processes
import servers
from hazard_client import Client
from hazard_requests import Request, candidates
from slopes import ALLOWED, Slope, slope

SAMPLE_S = 10.0
CAPACITY_S = 20.0
WARM_UP_SHARE = 0.2
CANCEL_SHARE, BAD_SHARE = 0.15, 0.1
LONGEST_BEFORE_CANCEL_S = 2.0
HUNG_S = 120.0
STREAMS = ("stream http", "stream grpc")
BAD: tuple[dict[str, Any], ...] = (
    {"max_tokens": -1},
    {"max_tokens": "many"},
    {"no_such_parameter": 1},
    {"temperature": -2},
    {"structured_outputs": {"regex": "(((("}},
    {"n": 100_000},
    {"max_tokens": 10, "logit_bias": {"99999999": 1}},
)


class Mix:
    """Who asks what next."""

    def __init__(self, client: Client, requests: list[Request], seed: int) -> None:
        self._client = client
        self._requests = requests
        self._bad = [Request(door, "Tell me a story.", sampling) for door in STREAMS for sampling in BAD]
        self._bad.append(Request("stream http", "word " * 5000, {"max_tokens": 10}))
        self._rng = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()

    async def good(self) -> None:
        """One request to its end."""
        attempt = await self._client.ask(self._rng.choice(self._requests))
        self.counts[f"good: {attempt.outcome}"] += 1
        if attempt.outcome != "ok":
            self.wrong[f"{attempt.outcome}: {attempt.message[:100]}"] += 1

    async def any(self) -> None:
        """A good one, one whose client leaves, or a bad one, which must be refused."""
        drawn = self._rng.random()
        if drawn < CANCEL_SHARE:
            streams = [request for request in self._requests if request.door in STREAMS]
            patience_s = self._rng.uniform(0, LONGEST_BEFORE_CANCEL_S)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._client.ask(self._rng.choice(streams)), patience_s)
            self.counts["cancelled or too short to be"] += 1
        elif drawn < CANCEL_SHARE + BAD_SHARE:
            request = self._rng.choice(self._bad)
            attempt = await self._client.ask(request)
            self.counts["bad"] += 1
            if attempt.outcome in ("ok", "hung"):
                self.wrong[f"{attempt.outcome}, should be refused: {request.sampling}"] += 1
        else:
            await self.good()


async def _capacity(mix: Mix, streams: int) -> float:
    """Requests a second, closed loop."""
    begun_s = time.perf_counter()
    ended = 0

    async def stream() -> None:
        nonlocal ended
        while time.perf_counter() - begun_s < CAPACITY_S:
            await mix.good()
            ended += 1

    await asyncio.gather(*(stream() for _ in range(streams)))
    return ended / (time.perf_counter() - begun_s)


async def _offer(mix: Mix, rate: float, seconds: float) -> None:
    rng = random.Random(1)
    tasks: set[asyncio.Task[None]] = set()
    begun_s = due_s = time.perf_counter()
    while (due_s := due_s + rng.expovariate(rate)) < begun_s + seconds:
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        task = asyncio.ensure_future(mix.any())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks)


async def _sample(server: servers.Server, seconds: float) -> dict[str, list[tuple[float, float]]]:
    """By process and quantity: seconds since the begin and value."""
    rows: dict[str, list[tuple[float, float]]] = {}
    begun_s = time.perf_counter()
    while (now_s := time.perf_counter() - begun_s) < seconds:
        processes = server_processes.of_trident(server.state())
        for name, process in processes.items():
            with contextlib.suppress(psutil.Error):
                held = server_processes.holding(process)
                rows.setdefault(f"{name}: RSS MiB", []).append((now_s, held.rss_bytes / 2**20))
                rows.setdefault(f"{name}: heap MiB", []).append((now_s, held.heap_bytes / 2**20))
                rows.setdefault(f"{name}: descriptors", []).append((now_s, held.descriptors))
                rows.setdefault(f"{name}: threads", []).append((now_s, held.threads))
        shared = server_processes.shared_memory_bytes(processes) / 2**20
        rows.setdefault("all: /dev/shm MiB", []).append((now_s, shared))
        await asyncio.sleep(SAMPLE_S)
    return rows


async def _main(server: servers.Server, options: argparse.Namespace) -> dict[str, Any]:
    urls = server.state()["urls"]
    client = Client(urls["KServe HTTP"], urls["KServe gRPC"], HUNG_S)
    mix = Mix(client, candidates(), 0)
    capacity = await _capacity(mix, options.streams)
    print(f"capacity {capacity:.1f} requests/s; half of it for {options.minutes:g} minutes", flush=True)
    seconds = 60 * options.minutes
    _, rows = await asyncio.gather(_offer(mix, capacity / 2, seconds), _sample(server, seconds))
    left_over = await hazard_quiet.left_over(urls["OpenAI"])
    await client.close()
    return {
        "capacity_per_s": capacity,
        "requests": dict(mix.counts),
        "wrong": dict(mix.wrong),
        "left in the engine": left_over,
        "samples": rows,
    }


def _slopes(rows: dict[str, list[tuple[float, float]]]) -> dict[str, Slope]:
    found = {}
    for name, samples in rows.items():
        times, values = (np.array(column) for column in zip(*samples, strict=True))
        is_warm = times >= WARM_UP_SHARE * times[-1]
        found[name] = slope(times[is_warm], values[is_warm], ALLOWED[name.split()[-1]])
    return found


def main() -> int:
    """Prints all slopes and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--json", type=Path)
    options, arguments = parser.parse_known_args()
    with servers.trident(*arguments) as server:
        result = asyncio.run(_main(server, options))
    slopes = _slopes(result["samples"])
    if options.json:
        slopes_json = {name: one._asdict() for name, one in slopes.items()}
        options.json.write_text(json.dumps({**result, "slopes": slopes_json}, indent=1))
    print(f"{'':44s} {'mean':>9s} {'per hour':>9s} {'95 % interval':>20s}")
    for name, one in slopes.items():
        print(
            f"{name:44s} {one.mean:9.1f} {one.per_hour:9.2f} {f'{one.low:.2f} to {one.high:.2f}':>20s}  {one.verdict}"
        )
    print(f"{result['requests']}\nwrong: {result['wrong']}\nleft in the engine: {result['left in the engine']}")
    grows = [name for name, one in slopes.items() if one.verdict == "grows"]
    is_good = not grows and not result["wrong"] and not any(result["left in the engine"].values())
    unclear = [name for name, one in slopes.items() if one.verdict == "unclear"]
    print("NOTHING IS SEEN TO GROW" if is_good else f"NOT GOOD; grows: {grows}", f"; unclear: {unclear}", sep="")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
