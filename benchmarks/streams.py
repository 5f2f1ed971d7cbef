"""A lean closed-loop client for streams: raw sockets, one process, nothing parsed but the end of each answer.

Every request asks for a fixed number of tokens with ``ignore_eos``, so tokens are counted by requests and stay right
when a server joins several tokens in one event.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass

WORDS = [
    "what",
    "is",
    "the",
    "capital",
    "of",
    "a",
    "country",
    "and",
    "how",
    "many",
    "tokens",
    "does",
    "one",
    "engine",
    "step",
    "make",
]


@dataclass(frozen=True)
class Target:
    """A streaming endpoint: where, and how a request body is made from prompt and length."""

    name: str
    host: str
    port: int
    path: str
    model: str | None

    def body(self, prompt: str, tokens: int) -> bytes:
        """The JSON of one request."""
        fields = {"max_tokens": tokens, "temperature": 0, "ignore_eos": True, "stream": True}
        if self.model is None:
            return json.dumps({"text_input": prompt, **fields}).encode()
        return json.dumps({"model": self.model, "prompt": prompt, **fields}).encode()


def kserve(port: int, model: str = "generate") -> Target:
    """Triton's generate_stream."""
    return Target("kserve", "127.0.0.1", port, f"/v2/models/{model}/generate_stream", None)


def openai(port: int, model: str) -> Target:
    """The OpenAI completions stream."""
    return Target("openai", "127.0.0.1", port, "/v1/completions", model)


@dataclass(frozen=True)
class Result:
    """One run. ``ttft_s`` and ``e2e_s`` are sorted."""

    requests: int
    failed: int
    tokens: int
    events: int
    seconds: float
    ttft_s: list[float]
    e2e_s: list[float]

    @property
    def tokens_per_s(self) -> float:
        """Output tokens per second over the whole run."""
        return self.tokens / self.seconds

    def summary(self) -> str:
        """One line."""
        middle = len(self.ttft_s) // 2
        ttft_ms = 1e3 * self.ttft_s[middle] if self.ttft_s else float("nan")
        return (
            f"{self.tokens_per_s:8.0f} tok/s  {self.requests} requests, {self.failed} failed, "
            f"{self.tokens / max(1, self.events):.2f} tokens/event, TTFT p50 {ttft_ms:.1f} ms"
        )


async def _one(target: Target, prompt: str, tokens: int) -> tuple[float, float, int] | None:
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection(target.host, target.port, limit=1 << 20)
    body = target.body(prompt, tokens)
    writer.write(
        f"POST {target.path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    first, events, tail, ok = 0.0, 0, b"", False
    while data := await reader.read(1 << 18):
        ok = ok or data.startswith(b"HTTP/1.1 200")
        count = data.count(b"data: {")
        if count and not first:
            first = time.perf_counter()
        events += count
        if b'"error"' in data:
            ok = False
        tail = (tail + data)[-64:]
        if b"[DONE]" in tail or b"\r\n0\r\n\r\n" in tail:
            break
    writer.close()
    return (first - begun, time.perf_counter() - begun, events) if ok and first else None


async def run(target: Target, *, streams: int, requests: int, tokens: int, words: int = 24, seed: int = 0) -> Result:
    """``streams`` at a time until ``requests`` have ended. Prompts differ, so that no prefix is cached."""
    rng = random.Random(seed)
    prompts = iter([" ".join(rng.choice(WORDS) for _ in range(words)) for _ in range(requests)])
    records: list[tuple[float, float, int] | None] = []

    async def worker() -> None:
        for prompt in prompts:
            records.append(await _one(target, prompt, tokens))

    begun = time.perf_counter()
    await asyncio.gather(*[worker() for _ in range(streams)])
    seconds = time.perf_counter() - begun
    good = [record for record in records if record is not None]
    return Result(
        requests=len(records),
        failed=len(records) - len(good),
        tokens=len(good) * tokens,
        events=sum(record[2] for record in good),
        seconds=seconds,
        ttft_s=sorted(record[0] for record in good),
        e2e_s=sorted(record[1] for record in good),
    )
