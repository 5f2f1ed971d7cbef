"""The server's own metrics while the load runs: Prometheus text, once a second."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence

import httpx

from trident.bench.result import Scrape

INTERVAL_S = 1.0
TIMEOUT_S = 5.0
_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)(?: \d+)?$", re.MULTILINE)
_LEFT_OUT = ("python_", "process_")
_ENDINGS = ("_bucket", "_created")


class Scraper:
    """Asks each of ``urls`` until it is stopped. One that does not answer at first is asked no more."""

    def __init__(self, urls: Sequence[str], origin_ns: int) -> None:
        self._urls = list(urls)
        self._origin_ns = origin_ns
        self._task: asyncio.Task[None] | None = None
        self.scrapes: list[Scrape] = []

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        # Loading the certificates takes 0.1 s, for nothing without TLS.
        is_tls = any(url.startswith("https") for url in self._urls)
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False, verify=is_tls) as client:
            first = await asyncio.gather(*(self._one(client, url) for url in self._urls))
            self.scrapes += first
            urls = [scrape.url for scrape in first if scrape.error is None]
            while urls:
                await asyncio.sleep(INTERVAL_S)
                self.scrapes += await asyncio.gather(*(self._one(client, url) for url in urls))

    async def _one(self, client: httpx.AsyncClient, url: str) -> Scrape:
        at_ns = time.perf_counter_ns() - self._origin_ns
        try:
            response = await client.get(url)
            response.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Scrape(at_ns=at_ns, url=url, error=f"{type(error).__name__}: {error}"[:200])
        return Scrape(at_ns=at_ns, url=url, values=parse(response.text))


def parse(text: str) -> dict[str, float]:
    """``name{labels}`` → value, without histogram buckets and what is of the exporter itself."""
    values = {}
    for series, value in _SAMPLE.findall(text):
        name = series.partition("{")[0]
        if name.endswith(_ENDINGS) or name.startswith(_LEFT_OUT):
            continue
        try:
            values[series] = float(value)
        except ValueError:
            continue
    return {series: value for series, value in values.items() if value == value}
