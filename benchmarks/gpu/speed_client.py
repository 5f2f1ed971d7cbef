"""A closed loop of one process at one door: raw sockets, or gRPC's own client."""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
from typing import Any, NamedTuple

from speed_doors import GRPC_ERROR, Door
from streams import WORDS

STREAMS_OF_A_GRPC_CONNECTION = 32


class Heard(NamedTuple):
    """One good answer, in seconds since it was asked; ``events`` until ``last_s``, ``size_bytes`` as it came and
    ``tokens`` as asked for. One that comes whole has neither a first nor events."""

    first_s: float
    last_s: float
    end_s: float
    events: int
    size_bytes: int
    tokens: int = 0


def prompts(count: int, words: int, seed: int) -> list[str]:
    """Texts without a common prefix."""
    rng = random.Random(seed)
    return [" ".join(rng.choice(WORDS) for _ in range(words)) for _ in range(count)]


def lengths(count: int, tokens: int, seed: int, *, is_mixed: bool) -> list[int]:
    """How long each answer shall be: all the same, or drawn evenly from an eighth of it to as far above it."""
    if not is_mixed:
        return [tokens] * count
    rng, least = random.Random(seed), max(1, tokens // 8)
    return [rng.randint(least, 2 * tokens - least) for _ in range(count)]


async def run(
    door: Door, *, streams: int, requests: int, tokens: int, words: int, seed: int, is_mixed: bool = False
) -> list[Heard | None]:
    """``streams`` at a time until ``requests`` have ended; None for each that failed."""
    each = lengths(requests, tokens, seed, is_mixed=is_mixed)
    asked = zip(prompts(requests, words, seed), each, strict=True)
    bodies = iter([(door.body(prompt, length), length) for prompt, length in asked])
    ask = {"events": _events, "whole": _whole, "grpc": _Grpc(door, streams)}[door.kind]
    heard: list[Heard | None] = []

    async def worker() -> None:
        for body, length in bodies:
            try:
                one = await ask(door, body)  # type: ignore[operator]
            except (OSError, asyncio.IncompleteReadError):
                one = None
            heard.append(None if one is None else one._replace(tokens=length))

    await asyncio.gather(*[worker() for _ in range(streams)])
    return heard


async def _sent(door: Door, body: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port, limit=1 << 20)
    head = f"POST {door.path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return reader, writer


async def _events(door: Door, body: bytes) -> Heard | None:
    begun = time.perf_counter()
    reader, writer = await _sent(door, body)
    first = last = 0.0
    events, size_bytes, tail, is_good = 0, 0, b"", True
    while data := await reader.read(1 << 18):
        if count := data.count(b"data: {"):
            last = time.perf_counter()
            first = first or last
            events += count
        if b'"error"' in data or (not events and not count and b" 200 " not in data[:32]):
            is_good = False
        size_bytes += len(data)
        tail = (tail + data)[-64:]
        if b"[DONE]" in tail or b"\r\n0\r\n\r\n" in tail:
            break
    writer.close()
    end = time.perf_counter()
    return Heard(first - begun, last - begun, end - begun, events, size_bytes) if is_good and events else None


async def _whole(door: Door, body: bytes) -> Heard | None:
    begun = time.perf_counter()
    reader, writer = await _sent(door, body)
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    answer = await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
    writer.close()
    end = time.perf_counter() - begun
    is_good = b" 200 " in head[:32] and "outputs" in json.loads(answer or b"{}")
    return Heard(math.nan, math.nan, end, 0, len(answer)) if is_good else None


class _Grpc:
    """Requests share connections. Imported late: gRPC may not be forked."""

    def __init__(self, door: Door, streams: int) -> None:
        self._address = f"127.0.0.1:{door.port}"
        self._wanted = -(-streams // STREAMS_OF_A_GRPC_CONNECTION)
        self._channels: list[Any] = []
        self._next = 0

    async def __call__(self, door: Door, body: bytes) -> Heard | None:
        import grpc

        if not self._channels:
            options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
            self._channels = [grpc.aio.insecure_channel(self._address, options) for _ in range(self._wanted)]
        self._next += 1
        channel = self._channels[self._next % self._wanted]
        begun = time.perf_counter()
        first = last = 0.0
        events, size_bytes, is_good = 0, 0, True
        call = channel.stream_stream(door.path)()
        await call.write(body)
        await call.done_writing()
        while (message := await call.read()) is not grpc.aio.EOF:
            last = time.perf_counter()
            first = first or last
            events += 1
            size_bytes += len(message)
            is_good = is_good and message[:1] != bytes([GRPC_ERROR])
        is_good = is_good and await call.code() is grpc.StatusCode.OK
        end = time.perf_counter()
        return Heard(first - begun, last - begun, end - begun, events, size_bytes) if is_good and events else None
