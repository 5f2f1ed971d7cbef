"""Ten times of what a server can do, for two minutes: what is left of its goodput?

    python benchmarks/overload.py [--minutes 2] [--times 10] [--tokens 256] [--servers trident vllm] [--json FILE]
                                  [arguments of trident serve ...]

Trident (KServe generate_stream) and ``vllm serve`` (OpenAI completions) one after the other. First Trident's unloaded
latency, of which the SLO for both is a multiple (``--slo-ttft-times``, ``--slo-e2e-times``). An operator who has such
an SLO tells Trident: ``--max-queue-wait-s`` and ``--max-tpot-s`` follow from it by one rule for every machine, unless
given here; ``vllm serve`` has no such settings. Then for each server a closed-loop ramp, whose best goodput (answers
within the SLO per second) is its peak, and ``--times`` times Trident's peak, open loop. A client waits
``--patience-times`` the SLO's whole time and closes its connection.

Refused is what is answered with 429 or 503. The client's own lag is in the table: what it could not send in time it did
not send at all, and the offer was so much smaller.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import resource
import statistics
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import server_processes
import servers
from open_load import Asker, Offer, Slo, ahead_of_the_server

RAMP = (8, 16, 32, 64, 128, 256, 512)
LEAST_LEVEL_S = 8.0
"""A level lasts as long as an answer may take, and not less."""
UNLOADED_S = 3.0
LONGEST_UNLOADED_S = 60.0
WINDOW_S = 5.0
LEFT_OUT_S = 10.0
"""At the begin of an overload: what was admitted before the first queue was full is not yet overload."""
SAMPLE_S = 2.0
RECOVERED_WITHIN_S = 60.0
SERVERS = ("trident", "vllm")
SHARE_OF_SLO = 0.8
"""That Trident is told to keep: an answer has its first token a prefill after its wait, and some are slower than the
mean."""


async def _slo(server: servers.Server, options: argparse.Namespace) -> Slo:
    """Multiples of the median times of one client alone."""
    asker = Asker(server.target, options.tokens, LONGEST_UNLOADED_S)
    await asker.closed_loop(1, 1.0)  # what a server does once
    seen = (await asker.closed_loop(1, UNLOADED_S)).seen
    await asker.close()
    ttft_s, e2e_s = (statistics.median(times) for times in zip(*((one.ttft_s, one.e2e_s) for one in seen), strict=True))
    slo = Slo(options.slo_ttft_times * ttft_s, options.slo_e2e_times * e2e_s)
    print(f"unloaded TTFT {1e3 * ttft_s:.1f} ms, E2E {1e3 * e2e_s:.0f} ms; {slo}", flush=True)
    return slo


def _kept(slo: Slo, tokens: int) -> list[str]:
    """What an operator with this SLO tells Trident."""
    wait_s = SHARE_OF_SLO * slo.ttft_s
    tpot_s = SHARE_OF_SLO * (slo.e2e_s - slo.ttft_s) / tokens
    return ["--max-queue-wait-s", f"{wait_s:.3f}", "--max-tpot-s", f"{tpot_s:.5f}"]


async def _ramp(asker: Asker, slo: Slo) -> dict[int, float]:
    """Goodput by the number of clients."""
    goodput = {}
    for clients in RAMP:
        offer = await asker.closed_loop(clients, max(LEAST_LEVEL_S, slo.e2e_s))
        # The whole of it: clients that began together end together, in waves that a window would cut.
        goodput[clients] = offer.in_time(slo, 0.0, offer.seconds)
        print(f"  {clients:4d} clients: {goodput[clients]:6.1f} good requests/s of {len(offer.seen)}", flush=True)
        if goodput[clients] < 0.5 * max(goodput.values()):
            break
    return goodput


async def _memory(server: servers.Server, until: asyncio.Event) -> dict[str, list[tuple[float, float]]]:
    """MiB of each process over time."""
    begun_s, rows = time.perf_counter(), {}
    processes = server_processes.of_tree(server.process.pid)
    if server.state_dir is not None:
        processes = server_processes.of_trident(server.state())
    while not until.is_set():
        for name, process in processes.items():
            with contextlib.suppress(psutil.Error):
                rss = server_processes.holding(process).rss_bytes / 2**20
                rows.setdefault(name, []).append((round(time.perf_counter() - begun_s, 1), round(rss, 1)))
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(until.wait(), SAMPLE_S)
    return rows


async def _recovery_s(asker: Asker, slo: Slo) -> float | None:
    """After the last client has gone: until an answer is good again."""
    begun_s = time.perf_counter()
    while time.perf_counter() - begun_s < RECOVERED_WITHIN_S:
        if any(slo.is_met(one) for one in (await asker.closed_loop(1, 0.01)).seen):
            return time.perf_counter() - begun_s
        await asyncio.sleep(0.1)
    return None


async def _one(server: servers.Server, slo: Slo, rate: float | None, options: argparse.Namespace) -> dict[str, Any]:
    """``rate`` None: ``--times`` times this server's peak."""
    print(server.name, flush=True)
    asker = Asker(server.target, options.tokens, options.patience_times * slo.e2e_s)
    await asker.closed_loop(1, 1.0)
    goodput = await _ramp(asker, slo)
    peak = max(goodput.values())
    rate = rate or options.times * peak
    done = asyncio.Event()
    memory = asyncio.ensure_future(_memory(server, done))
    seconds = 60 * options.minutes
    with ahead_of_the_server():
        offer = await asker.open_loop(rate, seconds)
    recovery_s = await _recovery_s(asker, slo)
    done.set()
    await asker.close()
    return {
        "server": server.name,
        "slo": asdict(slo),
        "goodput_by_clients": goodput,
        "peak_goodput_per_s": peak,
        "offered_per_s": rate,
        **_summary(offer, slo, peak),
        "recovered_after_s": recovery_s,
        "memory_mib": await memory,
    }


def _summary(offer: Offer, slo: Slo, peak: float) -> dict[str, Any]:
    windows = [WINDOW_S * number for number in range(int(offer.seconds / WINDOW_S))]
    over_time = [round(offer.in_time(slo, begin_s, begin_s + WINDOW_S), 2) for begin_s in windows]
    left_out_s = min(LEFT_OUT_S, offer.seconds / 4)
    goodput = offer.in_time(slo, left_out_s, offer.seconds)
    answered = [one for one in offer.seen if one.kind == "ok"]
    return {
        "sent": len(offer.lag_s),
        "kinds": offer.kinds(),
        "why": dict(Counter(one.why for one in offer.seen if one.why).most_common(10)),
        "goodput_per_s": goodput,
        "goodput_share_of_peak": goodput / peak if peak else 0.0,
        "goodput_over_time_per_s": over_time,
        "admitted_within_slo_share": sum(map(slo.is_met, answered)) / max(1, len(answered)),
        "ttft_s": _quantiles([one.ttft_s for one in answered]),
        "e2e_s": _quantiles([one.e2e_s for one in answered]),
        "refused_after_s": _quantiles([one.e2e_s for one in offer.seen if one.kind == "refused"]),
        "client": {"not_sent": offer.not_sent, "lag_s": _quantiles(offer.lag_s), "cpu_share": offer.cpu_share},
    }


def _quantiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {f"p{q}": ordered[min(len(ordered) - 1, len(ordered) * q // 100)] for q in (50, 95, 99)} if ordered else {}


def _table(results: list[dict[str, Any]]) -> str:
    lines = [f"{'':32s}" + "".join(f"{result['server']:>16s}" for result in results)]

    def row(title: str, values: list[Any]) -> None:
        lines.append(f"{title:32s}" + "".join(f"{value:>16}" for value in values))

    row("peak goodput, requests/s", [f"{r['peak_goodput_per_s']:.1f}" for r in results])
    row("offered, requests/s", [f"{r['offered_per_s']:.0f}" for r in results])
    row("goodput, requests/s", [f"{r['goodput_per_s']:.1f}" for r in results])
    row("  of its peak", [f"{r['goodput_share_of_peak']:.0%}" for r in results])
    for kind in ("ok", "refused", "given up", "failed"):
        row(f"  {kind}", [f"{r['kinds'][kind] / max(1, r['sent']):.1%}" for r in results])
    row("answered within the SLO", [f"{r['admitted_within_slo_share']:.0%}" for r in results])
    for name in ("ttft_s", "e2e_s", "refused_after_s"):
        row(f"{name} p50/p95/p99", ["/".join(f"{value:.2f}" for value in r[name].values()) or "-" for r in results])
    row("recovered after, s", [f"{r['recovered_after_s']:.1f}" if r["recovered_after_s"] else "never" for r in results])
    row("client: not sent", [r["client"]["not_sent"] for r in results])
    row("client: lag p99, ms", [f"{1e3 * r['client']['lag_s'].get('p99', 0):.0f}" for r in results])
    row("client: of one core", [f"{r['client']['cpu_share']:.0%}" for r in results])
    for result in results:
        lines.append(f"{result['server']}: MiB at begin, most, end")
        for name, rows in result["memory_mib"].items():
            sizes = [size for _, size in rows]
            lines.append(f"  {name:30s} {sizes[0]:9.0f} {max(sizes):9.0f} {sizes[-1]:9.0f}")
        lines.append(f"  goodput by {WINDOW_S:g} s: {' '.join(f'{g:.0f}' for g in result['goodput_over_time_per_s'])}")
        lines += [f"  {count} x {why}" for why, count in result["why"].items()]
    return "\n".join(lines)


def main() -> int:
    """Prints the ramps and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--times", type=float, default=10)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--patience-times", type=float, default=1.25)
    parser.add_argument("--slo-ttft-times", type=float, default=200)
    parser.add_argument("--slo-e2e-times", type=float, default=20)
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=list(SERVERS))
    parser.add_argument("--json", type=Path)
    options, arguments = parser.parse_known_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with servers.trident() as server:
        slo = asyncio.run(_slo(server, options))
    kept = [*_kept(slo, options.tokens), *arguments]
    print(f"trident serve {' '.join(kept)}", flush=True)
    results: list[dict[str, Any]] = []
    for name in options.servers:
        with servers.trident(*kept) if name == "trident" else servers.vllm_serve() as server:
            rate = results[0]["offered_per_s"] if results else None
            results.append(asyncio.run(_one(server, slo, rate, options)))
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))
        print(_table(results), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
