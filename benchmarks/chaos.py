"""Random kills under load: is any request lost, doubled or changed?

    python benchmarks/chaos.py [--minutes 10] [--streams 64] [--every-s 20] [--lottery engine|all] [--seed N]
                               [--json FILE] [arguments of trident serve ...]

A quiet run first: each request of ``hazard_requests`` alone and then all together, and each greedy text once more from
several of its own tokens (the engine reads them as a prompt, as it does when a stream is carried on). What differs
there differs by itself, as the batch decides about near-ties: it is counted and left out. Then the load, with one
random kill or stop every ``--every-s`` seconds, or later when the server needs longer. Refused requests are sent again.

The engine computes in float32: what bfloat16 makes a near-tie would fall otherwise in another batch, and look like a
text that was changed.

Exit code 1 when anything hung, was doubled or changed, or was lost that no dead stub or tritonserver had held.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hazard_quiet
import hazard_report
import servers
from hazard_client import Attempt, Client, without_ids
from hazard_kills import Kill, Lottery
from hazard_requests import Heard, Request, candidates

READY_REST_S = 3.0
RETRY_S = 0.5
TRIES = 240


@dataclass
class Run:
    """What happened. ``attempts`` are the last tries of each request, ``refusals`` all others by their message;
    ``held`` has the attempts in flight at each kill; the load began at ``begun_s`` of the monotonic clock."""

    quiet: dict[str, Any]
    begun_s: float = 0.0
    attempts: list[Attempt] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    kills: list[Kill] = field(default_factory=list)
    held: list[list[Attempt]] = field(default_factory=list)
    waited_for_ready: int = 0
    load_s: float = 0.0
    left_over: dict[str, float] = field(default_factory=dict)


async def _stream(client: Client, texts: dict[Request, Heard], run: Run, until_s: float, seed: int) -> None:
    rng = random.Random(seed)
    requests = sorted(texts, key=lambda request: request.name)
    while time.perf_counter() < until_s:
        request = rng.choice(requests)
        for _ in range(TRIES):
            attempt = await client.ask(request, texts[request])
            if attempt.outcome != "refused":
                break
            run.refusals[without_ids(attempt.message)] += 1
            await asyncio.sleep(RETRY_S * rng.uniform(0.5, 1.5))
        run.attempts.append(attempt)


async def _killer(client: Client, lottery: Lottery, run: Run, every_s: float, until_s: float) -> None:
    due_s = time.perf_counter() + min(every_s, 10.0)
    while due_s < until_s:
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        with client.out_of_service():
            kill = await lottery.draw()
            run.kills.append(kill)
            run.held.append(list(client.in_flight))
            print(f"{kill.kind}, {len(client.in_flight)} in flight", end=" ", flush=True)
            await lottery.heal(kill)
        print(f"- noticed after {_s(kill.noticed_s)}, ready after {_s(kill.ready_s)}", flush=True)
        if kill.ready_s is None:
            return
        due_s += every_s
        rested_s = time.perf_counter() + READY_REST_S
        if rested_s > due_s:
            run.waited_for_ready += 1
            due_s = rested_s


async def _main(server: servers.Server, options: argparse.Namespace) -> Run:
    urls = server.state()["urls"]
    client = Client(urls["KServe HTTP"], urls["KServe gRPC"], options.hung_s)
    texts, said = await hazard_quiet.texts(client, urls["OpenAI"], candidates(options.seed), options.streams)
    print(f"quiet run: {json.dumps(said, ensure_ascii=False)}", flush=True)
    run = Run(said, time.perf_counter())
    until_s = run.begun_s + 60 * options.minutes
    killer = _killer(client, Lottery(server, options.lottery, options.seed), run, options.every_s, until_s)
    streams = [_stream(client, texts, run, until_s, options.seed + number) for number in range(options.streams)]
    await asyncio.gather(killer, *streams)
    run.load_s = time.perf_counter() - run.begun_s
    run.left_over = await hazard_quiet.left_over(urls["OpenAI"])
    await client.close()
    return run


def _s(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f} s"


def main() -> int:
    """Prints the quiet run, each kill, the table and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--every-s", type=float, default=20)
    parser.add_argument("--lottery", choices=("engine", "all"), default="engine")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hung-s", type=float, default=120)
    parser.add_argument("--json", type=Path)
    options, arguments = parser.parse_known_args()
    arguments = ["--dtype", "float32", "--max-restarts", "10000", *arguments]
    with servers.trident(*arguments) as server:
        run = asyncio.run(_main(server, options))
        result = hazard_report.result(run)
        if options.json and not result["is_good"] and server.state_dir:
            logs = options.json.with_suffix(".logs")
            shutil.rmtree(logs, ignore_errors=True)
            shutil.copytree(server.state_dir / "run" / "default" / "logs", logs)
    asked = {name: str(value) for name, value in vars(options).items()}
    if options.json:
        options.json.write_text(json.dumps({"options": asked, **result}, ensure_ascii=False, indent=1))
    print(hazard_report.table(result))
    return 0 if result["is_good"] else 1


if __name__ == "__main__":
    sys.exit(main())
