"""``streams`` from several processes: one Python process cannot read what a GPU writes."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from streams import Result, Target
from streams import run as run_in_process

START_TOGETHER_S = 1.0


class LoadFailed(Exception):
    """A client process ended without a result, or not in time."""


def run(
    target: Target, *, streams: int, requests: int, tokens: int, words: int, seed: int, processes: int, limit_s: float
) -> Result:
    """As ``streams.run``, with the streams dealt to ``processes``. Raises LoadFailed after ``limit_s``."""
    fork = multiprocessing.get_context("fork")
    processes = min(processes, streams)
    begin_s = time.perf_counter() + START_TOGETHER_S
    clients: list[tuple[BaseProcess, Connection]] = []
    for index in range(processes):
        receiver, sender = fork.Pipe(duplex=False)
        share = {"streams": _share(streams, processes, index), "requests": _share(requests, processes, index)}
        asked = {**share, "tokens": tokens, "words": words, "seed": seed + index}
        client = fork.Process(target=_client, args=(sender, begin_s, limit_s, target, asked), daemon=True)
        client.start()
        sender.close()
        clients.append((client, receiver))
    try:
        results = []
        for _, receiver in clients:
            if not receiver.poll(max(0.0, begin_s + limit_s + 5 - time.perf_counter())):
                raise LoadFailed(f"no result within {limit_s:g} s")
            results.append(receiver.recv())
    except EOFError as error:
        raise LoadFailed("a client process failed; its traceback is above") from error
    finally:
        for client, receiver in clients:
            receiver.close()
            client.kill()
            client.join()
    return _merged(results)


def _share(whole: int, parts: int, index: int) -> int:
    return whole // parts + (index < whole % parts)


def _client(sender: Connection, begin_s: float, limit_s: float, target: Target, asked: dict[str, int]) -> None:
    time.sleep(max(0.0, begin_s - time.perf_counter()))
    result = asyncio.run(asyncio.wait_for(run_in_process(target, **asked), limit_s))
    sender.send(result)


def _merged(results: list[Result]) -> Result:
    """All began together, so the longest run is the whole one."""
    return Result(
        requests=sum(result.requests for result in results),
        failed=sum(result.failed for result in results),
        tokens=sum(result.tokens for result in results),
        events=sum(result.events for result in results),
        seconds=max(result.seconds for result in results),
        ttft_s=sorted(value for result in results for value in result.ttft_s),
        e2e_s=sorted(value for result in results for value in result.e2e_s),
    )
