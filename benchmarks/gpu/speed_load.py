"""The closed loop from several processes, summed up."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import resource
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

import speed_client
from speed_client import Heard
from speed_doors import Door

START_TOGETHER_S = 0.7


class LoadFailed(Exception):
    """A client process ended without a result, or not in time."""


@dataclass(frozen=True)
class Load:
    """``streams`` at a time, ``requests`` in all, of ``tokens`` each, or in the mean."""

    streams: int
    requests: int
    tokens: int
    words: int
    seed: int
    is_mixed: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a load brought: all times of the good answers, sorted, and what asking cost."""

    load: Load
    seconds: float
    first_s: list[float]
    per_token_s: list[float]
    end_s: list[float]
    tokens: int
    events: int
    size_bytes: int
    client_cpu_s: float

    @property
    def failed(self) -> int:
        return self.load.requests - len(self.end_s)


def run(door: Door, load: Load, processes: int, limit_s: float) -> Outcome:
    """Raises LoadFailed after ``limit_s``."""
    fork = multiprocessing.get_context("fork")
    processes = min(processes, load.streams)
    begin_s = time.perf_counter() + START_TOGETHER_S
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    clients = []
    for index in range(processes):
        receiver, sender = fork.Pipe(duplex=False)
        streams, requests = (_share(whole, processes, index) for whole in (load.streams, load.requests))
        part = replace(load, streams=streams, requests=requests, seed=load.seed + index)
        client = fork.Process(target=_client, args=(sender, begin_s, limit_s, door, part), daemon=True)
        client.start()
        sender.close()
        clients.append((client, receiver))
    heard: list[Heard | None] = []
    seconds = 0.0
    try:
        for _, receiver in clients:
            if not receiver.poll(max(0.0, begin_s + limit_s + 2 - time.perf_counter())):
                raise LoadFailed(f"no result within {limit_s:g} s")
            took_s, part_heard = receiver.recv()
            seconds, heard = max(seconds, took_s), heard + part_heard
    except EOFError as error:
        raise LoadFailed("a client process failed; its traceback is above") from error
    finally:
        for client, receiver in clients:
            receiver.close()
            client.join(0.5)
            client.kill()
            client.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return _summed_up(load, seconds, [one for one in heard if one is not None], cpu_s)


def _share(whole: int, parts: int, index: int) -> int:
    return whole // parts + (index < whole % parts)


def _client(sender: Connection, begin_s: float, limit_s: float, door: Door, load: Load) -> None:
    asked: dict[str, Any] = vars(load)
    drive: Callable[[Coroutine[Any, Any, list[Heard | None]]], list[Heard | None]] = asyncio.run
    if door.kind != "grpc":
        with contextlib.suppress(ImportError):
            import uvloop

            drive = uvloop.run
    time.sleep(max(0.0, begin_s - time.perf_counter()))
    heard = drive(asyncio.wait_for(speed_client.run(door, **asked), limit_s))
    sender.send((time.perf_counter() - begin_s, heard))


def _summed_up(load: Load, seconds: float, heard: list[Heard], client_cpu_s: float) -> Outcome:
    return Outcome(
        load,
        seconds,
        sorted(one.first_s for one in heard if one.events),
        sorted((one.last_s - one.first_s) / max(1, one.tokens - 1) for one in heard if one.events),
        sorted(one.end_s for one in heard),
        sum(one.tokens for one in heard),
        sum(one.events for one in heard),
        sum(one.size_bytes for one in heard),
        client_cpu_s,
    )
