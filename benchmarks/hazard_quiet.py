"""The texts of a quiet server, and which of them an engine repeats by itself.

A CPU or GPU adds in another order when the batch is another, and bfloat16 makes near-ties of that: a greedy text may
differ although nothing went wrong. Such requests prove nothing and are left out.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
import urllib.request
from typing import Any

from hazard_client import Attempt, Client, compare
from hazard_requests import Heard, Request

from trident.bench.apis.http_request import HttpRequest
from trident.bench.channels.http import HttpChannel
from trident.bench.exchange import Exchange

CUTS = (0.2, 0.4, 0.6, 0.8)
FEW, RESUMED_AT_ONCE = 4, 16
SETTLE_S = 30.0
CALL_S = 300.0
HELD = ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc")


async def texts(
    client: Client, openai_url: str, requests: list[Request], streams: int
) -> tuple[dict[Request, Heard], dict[str, Any]]:
    """The requests that are stable with what they answer, and a count of the others. Raises SystemExit when the quiet
    server does not answer one."""
    few = await _all(client, requests, FEW)
    many = await _all(client, requests * 2, streams)
    quiet = [attempt.heard for attempt in few]
    by_batch = set()
    for request, heard, *others in zip(requests, quiet, many, many[len(requests) :], strict=False):
        assert heard is not None
        if any(other.heard and compare(request, other.heard, heard)[0] != "ok" for other in others):
            by_batch.add(request)
    resumed = await _flips_when_resumed(openai_url, [one for one in requests if one.is_plainly_greedy])
    stable = {
        request: heard
        for request, heard in zip(requests, quiet, strict=True)
        if heard is not None and request not in by_batch and request not in resumed
    }
    said = {
        "requests": len(requests),
        "used": len(stable),
        "text not compared": sum(not request.is_text_compared for request in stable),
        "left out, text depends on the batch": sorted(request.name for request in by_batch),
        "left out, text depends on where it is resumed": sorted(request.name for request in resumed - by_batch),
    }
    return stable, said


async def _all(client: Client, requests: list[Request], at_once: int) -> list[Attempt]:
    limit = asyncio.Semaphore(at_once)

    async def one(request: Request) -> Attempt:
        async with limit:
            attempt = await client.ask(request)
        if attempt.outcome != "ok":
            raise SystemExit(f"the quiet server does not answer {request.name}: {attempt.outcome}, {attempt.message}")
        return attempt

    return list(await asyncio.gather(*map(one, requests)))


async def _flips_when_resumed(openai_url: str, requests: list[Request]) -> set[Request]:
    channel = HttpChannel(openai_url)
    post = HttpRequest(f"{openai_url}/completions")
    limit = asyncio.Semaphore(RESUMED_AT_ONCE)

    async def complete(prompt: str | list[int], tokens: int, ignore_eos: bool) -> tuple[list[int], list[int]]:
        body = {"model": "demo", "prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": ignore_eos}
        exchange = Exchange(time.perf_counter_ns())
        async with limit:
            await channel.exchange(post({**body, "return_token_ids": True}), exchange, CALL_S)
        answer = json.loads(b"".join(exchange.pieces))
        choice = answer["choices"][0]
        return choice["prompt_token_ids"], choice["token_ids"]

    async def is_other(request: Request) -> bool:
        tokens, ignore_eos = request.sampling["max_tokens"], request.sampling.get("ignore_eos", False)
        prompt, whole = await complete(request.prompt, tokens, ignore_eos)
        cuts = sorted({int(share * len(whole)) for share in CUTS if 0 < int(share * len(whole)) < len(whole)})
        rests = [complete(prompt + whole[:cut], tokens - cut, ignore_eos) for cut in cuts]
        again = await asyncio.gather(*rests)
        return any(rest != whole[cut:] for cut, (_, rest) in zip(cuts, again, strict=True))

    try:
        found = await asyncio.gather(*map(is_other, requests))
    finally:
        await channel.close()
    return {request for request, flips in zip(requests, found, strict=True) if flips}


async def left_over(openai_url: str) -> dict[str, float]:
    """What the engine still holds once the clients have gone: all of it must be 0. Infinite is what it does not say."""
    deadline_s = time.perf_counter() + SETTLE_S
    while True:
        held = holdings(await asyncio.to_thread(_page, openai_url.removesuffix("/v1") + "/metrics"))
        if not any(held.values()) or time.perf_counter() > deadline_s:
            return held
        await asyncio.sleep(0.5)


def holdings(metrics_page: str) -> dict[str, float]:
    """Requests and the share of the KV cache, from vLLM's metrics."""
    held = {}
    for name in HELD:
        values = [float(line.rpartition(" ")[2]) for line in metrics_page.splitlines() if line.startswith(name)]
        held[name] = sum(values) if values else math.inf
    return held


def _page(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())
    except OSError as error:
        return f"{error}"
