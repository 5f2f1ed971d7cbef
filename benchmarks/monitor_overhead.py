"""What watching costs: tokens per second with and without it, A B A B, on one engine.

    python benchmarks/monitor_overhead.py [--rounds 4] [--seconds 15] [--json FILE]

A is the server alone; B has ``trident monitor up`` beside it: the monitor, Prometheus with all its rules, and one open
live page. In both the same 64 streams ask for 128 tokens each; a batch at the start of each phase is not counted. The
CPU time of the watching processes, and of the metrics server that they ask, is taken from the kernel.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import servers
import streams

STREAMS, TOKENS, REQUESTS = 64, 128, 64
UP_WITHIN_S = 30.0
T_95 = {1: 12.7, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26, 11: 2.20, 15: 2.13}
"""Student's t of a 95 % interval by degrees of freedom."""


class Page:
    """A live page that somebody looks at: the stream of its figures, read to the end."""

    def __init__(self, port: int) -> None:
        self.bytes = 0
        self._url = f"http://127.0.0.1:{port}/api/live"
        self._is_over = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._is_over = True
        self._thread.join(timeout=10)

    def _read(self) -> None:
        with urllib.request.urlopen(self._url, timeout=10) as answer:
            while not self._is_over:
                self.bytes += len(answer.readline())


@contextlib.contextmanager
def watching(server: servers.Server) -> Iterator[dict[str, psutil.Process]]:
    """``trident monitor up``; its children by name."""
    monitor_port, prometheus_port = servers.free_ports(2)
    flags = ["--monitor-port", str(monitor_port), "--prometheus-port", str(prometheus_port)]
    up = subprocess.Popen(
        [sys.executable, "-m", "trident", "monitor", "up", *flags],
        env={**os.environ, "TRIDENT_STATE_DIR": str(server.state_dir)},
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    try:
        # Prometheus alone would answer at once from the second round on: it still has what the last one recorded.
        until_answered(f"http://127.0.0.1:{monitor_port}/metrics", bool)
        recorded = f"http://127.0.0.1:{prometheus_port}/api/v1/query?query=trident:requests:rate1m"
        until_answered(recorded, lambda answer: json.loads(answer)["data"]["result"])
        page = Page(monitor_port)
        found = {name(process): process for process in psutil.Process(up.pid).children()}
        yield {"trident monitor up": psutil.Process(up.pid), **found}
        page.close()
        assert page.bytes > 0, "the live page has shown nothing"
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(timeout=30)


def name(process: psutil.Process) -> str:
    return "prometheus" if "prometheus" in Path(process.exe()).name else "monitor"


def until_answered(url: str, is_enough: Callable[[bytes], object]) -> None:
    end_s = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < end_s:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            if is_enough(answer.read()):
                return
        time.sleep(0.2)
    raise SystemExit(f"nothing at {url} within {UP_WITHIN_S:g} s")


def cpu_s(processes: dict[str, psutil.Process]) -> dict[str, float]:
    return {name: sum(process.cpu_times()[:2]) for name, process in processes.items()}


def phase(server: servers.Server, seconds: float, seed: int, processes: dict[str, psutil.Process]) -> dict[str, Any]:
    """Tokens per second over at least this time, and what the processes have used per second."""
    asyncio.run(streams.run(server.target, streams=STREAMS, requests=REQUESTS, tokens=TOKENS, seed=seed))
    before, begun_s, tokens, batch = cpu_s(processes), time.monotonic(), 0, 0
    while time.monotonic() - begun_s < seconds:
        batch += 1
        result = asyncio.run(
            streams.run(server.target, streams=STREAMS, requests=3 * REQUESTS, tokens=TOKENS, seed=100 * seed + batch)
        )
        assert result.failed == 0, result.summary()
        tokens += result.tokens
    took_s = time.monotonic() - begun_s
    used = {name: (after - before[name]) / took_s for name, after in cpu_s(processes).items()}
    rss = {name: process.memory_info().rss / 2**20 for name, process in processes.items()}
    return {"tokens_per_s": tokens / took_s, "seconds": took_s, "cores": used, "rss_mib": rss}


def interval(differences: list[float]) -> tuple[float, float]:
    """Mean and half width of its 95 % interval."""
    mean = statistics.mean(differences)
    freedom = len(differences) - 1
    if freedom < 1:
        return mean, math.inf
    factor = next(value for known, value in sorted(T_95.items(), reverse=True) if known <= freedom)
    return mean, factor * statistics.stdev(differences) / math.sqrt(len(differences))


def main() -> None:
    """Prints each phase, the difference with its interval, and the cost of each process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--json", type=Path)
    told = parser.parse_args()
    rounds: list[dict[str, Any]] = []
    with servers.trident() as server:
        children = {child["name"]: child["process"]["pid"] for child in server.state()["children"]}
        metrics = {"metrics server": psutil.Process(children["metrics server"])}
        phase(server, 1.0, 999, {})
        for number in range(told.rounds):
            alone = phase(server, told.seconds, 2 * number, metrics)
            print(f"round {number}: A alone   {alone['tokens_per_s']:8.0f} tokens/s", flush=True)
            with watching(server) as processes:
                watched = phase(server, told.seconds, 2 * number + 1, {**processes, **metrics})
            print(f"round {number}: B watched {watched['tokens_per_s']:8.0f} tokens/s", flush=True)
            rounds.append({"A": alone, "B": watched})
    if told.json:
        told.json.write_text(json.dumps(rounds, indent=2))
    report(rounds)


def report(rounds: list[dict[str, Any]]) -> None:
    speeds = {kind: [each[kind]["tokens_per_s"] for each in rounds] for kind in "AB"}
    changes = [100 * (after / before - 1) for before, after in zip(speeds["A"], speeds["B"], strict=True)]
    mean, half = interval(changes)
    print(f"tokens/s, median: A {statistics.median(speeds['A']):.0f}, B {statistics.median(speeds['B']):.0f}")
    print(f"B against A: {mean:+.1f} % (95 % interval {mean - half:+.1f} to {mean + half:+.1f})")
    for process in rounds[0]["B"]["cores"]:
        cores = statistics.median(each["B"]["cores"][process] for each in rounds)
        rss_mib = max(each["B"]["rss_mib"][process] for each in rounds)
        print(f"{process:20s} {100 * cores:5.2f} % of a core, {rss_mib:4.0f} MiB")


if __name__ == "__main__":
    main()
