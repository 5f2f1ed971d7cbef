"""One page: tritonserver's own text as it is, the engines' families, and the supervisor's of its children. What does
not answer is left out."""

from __future__ import annotations

import asyncio
import http.client
import logging
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import Metric

from trident.config.places import Place
from trident.supervisor import state, unix_http
from trident.supervisor.metrics import children, families
from trident.supervisor.metrics.counts import Counts
from trident.supervisor.metrics.exposition import as_text
from trident.supervisor.state import EngineCounts

log = logging.getLogger(__name__)

SCRAPE_TIMEOUT_S = 2.0
BETWEEN_TOKENS = ("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds")
"""vLLM's name, and its earlier one, under which Triton's vLLM backend still exports the same."""


@dataclass(frozen=True)
class Sources:
    """``triton`` is where tritonserver's own metrics are; ``run_dir`` holds the server's state."""

    triton: Place
    run_dir: Path
    counts: defaultdict[Path, Counts] = field(default_factory=lambda: defaultdict(Counts))
    """By the folder of an engine: what is known of its files."""

    async def page(self) -> bytes:
        """In bounded time, whatever the others do."""
        server = state.load(self.run_dir)
        triton = asyncio.ensure_future(_scraped(self.triton))
        engines = await asyncio.gather(
            *(
                _counted(child.counts, child.facts, child.is_ready, self.counts[Path(child.counts.folder)])
                for child in (server.children if server else [])
                if child.counts
            )
        )
        own = children.of(server.children if server else [])
        return _ended(await triton or "") + as_text([*families.side_by_side(engines), *own])


async def _counted(counts: EngineCounts, facts: dict[str, Any], is_serving: bool, known: Counts) -> list[Metric]:
    """Everything that one engine has done, through all its doors."""
    found = await asyncio.to_thread(_read, Path(counts.folder), is_serving, known)
    if facts.get("openai_server") == "rust":
        # It does not count into the folder, where vLLM's Python server and the relay do.
        text = await _scraped(Place(counts.openai_host, counts.openai_port))
        found = families.added(found, families.of_text(text or ""))
    labels = {"model_name": counts.served_name, "model": counts.model, "version": counts.version}
    return families.labelled(families.with_alias(found, *BETWEEN_TOKENS), labels)


def _read(folder: Path, is_serving: bool, known: Counts) -> list[Metric]:
    try:
        return families.of_folder(folder, is_serving=is_serving, counts=known)
    except (OSError, ValueError) as error:
        log.error("the counts in %s cannot be read: %s", folder, error)
        return []


async def _scraped(place: Place) -> str | None:
    try:
        return await asyncio.wait_for(asyncio.to_thread(_get, place), SCRAPE_TIMEOUT_S)
    except (OSError, ValueError, asyncio.TimeoutError, http.client.HTTPException):
        return None


def _get(place: Place) -> str | None:
    connection = unix_http.connection(place.host, place.port, place.socket, SCRAPE_TIMEOUT_S)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        return answer.read().decode("utf-8", "replace") if answer.status == 200 else None
    finally:
        connection.close()


def _ended(text: str) -> bytes:
    return text.encode() if not text or text.endswith("\n") else text.encode() + b"\n"
