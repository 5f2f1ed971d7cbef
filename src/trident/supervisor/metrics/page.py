"""One page: tritonserver's own text as it is, then the engines' families. What does not answer is left out."""

from __future__ import annotations

import asyncio
import http.client
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import Metric

from trident.supervisor import state
from trident.supervisor.metrics import families
from trident.supervisor.state import EngineCounts

log = logging.getLogger(__name__)

SCRAPE_TIMEOUT_S = 2.0
BETWEEN_TOKENS = ("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds")
"""vLLM's name, and its earlier one, under which Triton's vLLM backend still exports the same."""


@dataclass(frozen=True)
class Sources:
    """``triton_port`` is the loopback port of tritonserver's own metrics; ``run_dir`` holds the server's state."""

    triton_port: int
    run_dir: Path

    async def page(self) -> bytes:
        """In bounded time, whatever the others do."""
        server = state.load(self.run_dir)
        triton = asyncio.ensure_future(_scraped("127.0.0.1", self.triton_port))
        engines = await asyncio.gather(
            *(_counted(child.counts, child.facts) for child in (server.children if server else []) if child.counts)
        )
        return _ended(await triton or "") + families.as_text(families.side_by_side(engines))


async def _counted(counts: EngineCounts, facts: dict[str, Any]) -> list[Metric]:
    """Everything that one engine has done, through all its doors."""
    found = await asyncio.to_thread(_read, Path(counts.folder))
    if facts.get("openai_server") == "rust":
        # It does not count into the folder, where vLLM's Python server and the relay do.
        text = await _scraped(counts.openai_host, counts.openai_port)
        found = families.added(found, families.of_text(text or ""))
    labels = {"model_name": counts.served_name, "model": counts.model, "version": counts.version}
    return families.labelled(families.with_alias(found, *BETWEEN_TOKENS), labels)


def _read(folder: Path) -> list[Metric]:
    try:
        return families.of_folder(folder)
    except (OSError, ValueError) as error:
        log.error("the counts in %s cannot be read: %s", folder, error)
        return []


async def _scraped(host: str, port: int) -> str | None:
    try:
        return await asyncio.wait_for(asyncio.to_thread(_get, host, port), SCRAPE_TIMEOUT_S)
    except (OSError, ValueError, asyncio.TimeoutError, http.client.HTTPException):
        return None


def _get(host: str, port: int) -> str | None:
    connection = http.client.HTTPConnection(host, port, timeout=SCRAPE_TIMEOUT_S)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        return answer.read().decode("utf-8", "replace") if answer.status == 200 else None
    finally:
        connection.close()


def _ended(text: str) -> bytes:
    return text.encode() if not text or text.endswith("\n") else text.encode() + b"\n"
